package interop

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"cordon/dicom"
)

// A day of real clients is learned, the least set is approved for each with the command, and everybody else is
// refused: the same day goes on with the same results, and nothing beyond it does.
func TestTheLeastSetIsEnoughForRealClients(t *testing.T) {
	fastDCMTK(t)
	archive := startOrthanc(t, map[string]any{"DicomAlwaysAllowFind": true, "DicomAlwaysAllowGet": true})
	worklist := startWorklist(t, 4)
	studies := writeStudies(t, 2, 3)
	dcmsend(t, archive, studies[0].files)
	c := newCordon(t, nil)
	c.add(t, "archives:\n"+
		"  - {name: pacs, ae_title: "+string(archive.AETitle)+", address: '"+archive.Address+"'}\n"+
		"  - {name: ris, ae_title: "+string(worklist.AETitle)+", address: '"+worklist.Address+"', services: [worklist]}\n")
	c.start(t)
	ct, reader := &side{workstation: station{title: "CT1"}}, &side{workstation: station{title: "READ1"}}
	day := func(files []string) []string {
		run(t, "echoscu", "-aet", "CT1", "-aec", cordonTitle, c.Host, c.Port)
		run(t, "storescu", append([]string{"-aet", "CT1", "-aec", cordonTitle, c.Host, c.Port}, files...)...)
		got := findscu(t, ct, &c.peer, "-W", "PatientName", "ScheduledProcedureStepSequence[0].Modality")
		got = append(got, findscu(t, reader, &c.peer, "-S", "QueryRetrieveLevel=STUDY", "StudyInstanceUID="+string(studies[0].uid), "ModalitiesInStudy")...)
		got = append(got, getscu(t, reader, &c.peer, studies[0].uid)...)
		slices.Sort(got)
		return got
	}
	learned := day(studies[0].files)
	if len(learned) != 4+1+3 {
		t.Fatalf("the day gave %d results", len(learned))
	}

	want := map[string]string{
		"probe": `"may":["echo"]`, // the test itself, when it asked whether all was ready
		"ct1":   `"may":["echo","store","worklist"],"sop_classes":["` + string(dicom.CTImageStorage) + `"],"archives":["pacs","ris"]`,
		"read1": `"may":["query","retrieve"],"archives":["pacs"]`,
	}
	for name, permissions := range want {
		said := c.cli(t, "device", "approve", name, "--as", "A. Able", "--reason", "seen at work", "--json")
		var d struct{ Permissions json.RawMessage }
		if err := json.Unmarshal([]byte(said.out), &d); err != nil || !strings.Contains(string(d.Permissions), permissions) {
			t.Fatalf("%s was approved with %s, %v%s", name, d.Permissions, err, said.err)
		}
		t.Logf("the least set of %s: %s", name, d.Permissions)
	}
	c.process.terminate()
	text, err := os.ReadFile(c.config)
	if err != nil {
		t.Fatal(err)
	}
	write(t, c.config, strings.Replace(string(text), "ae_title: "+cordonTitle, "ae_title: "+cordonTitle+", unknown_devices: refuse", 1))
	c.start(t)
	if again := day(studies[0].files); !slices.Equal(again, learned) {
		t.Errorf("the next day gave %d results, the first %d", len(again), len(learned))
	}
	for what, args := range map[string][]string{
		"an unknown device":              {"echoscu", "-aet", "STRANGER", "-aec", cordonTitle, c.Host, c.Port},
		"an echo that was never needed":  {"echoscu", "-aet", "READ1", "-aec", cordonTitle, c.Host, c.Port},
		"a query that was never needed":  {"findscu", "-S", "-aet", "CT1", "-aec", cordonTitle, "-k", "QueryRetrieveLevel=STUDY", "-k", "PatientName", c.Host, c.Port},
		"a store from the reading place": {"storescu", "-aet", "READ1", "-aec", cordonTitle, c.Host, c.Port, studies[1].files[0]},
	} {
		if out, err := try(t, args[0], args[1:]...); err == nil {
			t.Errorf("%s was let through:\n%s", what, out)
		}
	}
}
