package interop

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"cordon/bridge"
	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
	"cordon/dicom/web"
	"cordon/interop/ports"
)

// charsetFiles are pydicom's objects in many character sets, each of a patient of its own.
const charsetFiles = "/usr/lib/python3/dist-packages/pydicom/data/charset_files"

// startWebOrthanc starts an Orthanc that speaks DICOMweb too, at HTTP + "/dicom-web".
func startWebOrthanc(t *testing.T, settings map[string]any) *peer {
	t.Helper()
	all := map[string]any{
		"DefaultEncoding": "Utf8", "DicomAlwaysAllowFind": true, "DicomAlwaysAllowGet": true, "DicomAlwaysAllowMove": true,
		"Plugins":  []string{"/usr/share/orthanc/plugins/libOrthancDicomWeb.so"},
		"DicomWeb": map[string]any{"Enable": true, "Root": "/dicom-web/", "StudiesMetadata": "Full", "SeriesMetadata": "Full"},
	}
	for k, v := range settings {
		all[k] = v
	}
	return startOrthanc(t, all)
}

// startBridge is an Orthanc's DICOMweb side as a bridge makes it one that speaks DIMSE, on a port.
func startBridge(t *testing.T, orthanc *peer) *peer {
	t.Helper()
	client, err := web.NewClient(web.ClientConfig{Base: orthanc.HTTP + "/dicom-web"})
	if err != nil {
		t.Fatal(err)
	}
	b := bridge.New(bridge.Config{Name: "orthanc", AETitle: orthanc.AETitle, Client: client}, slog.New(slog.NewTextHandler(t.Output(), nil)))
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { b.Serve(ctx) })
	p := newPeer(t, orthanc.AETitle)
	l, err := net.Listen("tcp", p.Address)
	if err != nil {
		t.Fatal(err)
	}
	running.Go(func() { forward(ctx, l, b.Dial) })
	t.Cleanup(func() { cancel(); l.Close(); b.Calls().Close(); running.Wait(); client.Close() })
	return p
}

// forward joins each connection of a listener to one that dial opens, until l is closed.
func forward(ctx context.Context, l net.Listener, dial func(context.Context) (net.Conn, error)) {
	var running sync.WaitGroup
	defer running.Wait()
	for {
		a, err := l.Accept()
		if err != nil {
			return
		}
		b, err := dial(ctx)
		if err != nil {
			a.Close()
			continue
		}
		for _, way := range [][2]net.Conn{{a, b}, {b, a}} {
			running.Go(func() { // ends with either connection
				io.Copy(way[0], way[1])
				way[0].Close()
				way[1].Close()
			})
		}
	}
}

// rowsOf asks a provider and returns what it answers, in UTF-8 and in an order of its own, without what says only who
// answered, and how.
func rowsOf(t *testing.T, at *peer, class dicom.UID, keys web.DataSet) []string {
	t.Helper()
	as, err := ul.Dial(t.Context(), at.Address, nil, ul.Request{
		Calling: "PROBE", Called: at.AETitle,
		Contexts: []ul.ProposedContext{{ID: 1, AbstractSyntax: class, TransferSyntaxes: []dicom.UID{dicom.ExplicitVRLittleEndian}}},
	}, ul.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	conn := dimse.NewConn(as)
	x := dimse.NewExchange(conn, nil)
	var reading sync.WaitGroup
	defer reading.Wait()
	defer conn.Close()
	reading.Go(func() { x.Run(context.Background()) })
	var identifier bytes.Buffer
	if err := keys.Encode(&identifier, dicom.ExplicitVRLittleEndian); err != nil {
		t.Fatal(err)
	}
	op, err := x.Begin(t.Context(), 1, dimse.Command{Field: dimse.CFindRQ, AffectedSOPClassUID: class}, &identifier)
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for {
		reply, err := op.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if reply.Command.Status.Class() != dimse.ClassPending {
			if reply.Command.Status != dimse.Success {
				t.Errorf("%s: final status %04X", at.AETitle, uint16(reply.Command.Status))
			}
			slices.Sort(rows)
			return rows
		}
		rows = append(rows, rowText(t, reply.Data))
	}
}

func rowText(t *testing.T, data []byte) string {
	t.Helper()
	d, err := web.ReadDataSet(data, dicom.ExplicitVRLittleEndian, web.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	d.Delete(dicom.TagSpecificCharacterSet)
	d.Delete(dicom.TagRetrieveAETitle)
	return string(d.AppendJSON(nil))
}

// askFor is an identifier with keys as DCMTK's programs take them: keyword=value, in UTF-8.
func askFor(t *testing.T, keys ...string) web.DataSet {
	t.Helper()
	var d web.DataSet
	for _, k := range keys {
		name, value, _ := strings.Cut(k, "=")
		a, ok := dicom.LookupAttributeKeyword(name)
		if !ok {
			t.Fatal(name)
		}
		d.SetString(a.Tag, a.VRs[0], value)
	}
	return d
}

// What is asked of an archive over its DICOMweb is answered as the archive's own DIMSE answers it: the same rows, at each
// level, in every character set.
func TestBridgeAnswersAsTheArchiveItself(t *testing.T) {
	orthanc := startWebOrthanc(t, nil)
	files, err := filepath.Glob(filepath.Join(charsetFiles, "chr*.dcm"))
	if err != nil || len(files) < 14 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	studies := writeStudies(t, 3, 4)
	for _, f := range append(filesOf(studies), files...) {
		try(t, "storescu", "-aec", string(orthanc.AETitle), orthanc.Host, orthanc.Port, f) // some have nothing that Orthanc can index
	}
	through := startBridge(t, orthanc)
	study, patient := dicom.StudyRootQueryRetrieveInformationModelFind, dicom.PatientRootQueryRetrieveInformationModelFind
	one := "StudyInstanceUID=" + string(studies[0].uid)
	for _, c := range []struct {
		name  string
		class dicom.UID
		least int
		keys  []string
	}{
		{"studies", study, 3, []string{"QueryRetrieveLevel=STUDY", "StudyInstanceUID", "PatientID=P*", "StudyDate", "AccessionNumber", "ModalitiesInStudy", "NumberOfStudyRelatedInstances", "NumberOfStudyRelatedSeries"}},
		{"names of every character set", study, 15, []string{"QueryRetrieveLevel=STUDY", "StudyInstanceUID", "PatientName", "PatientID"}},
		{"dates", study, 2, []string{"QueryRetrieveLevel=STUDY", "StudyInstanceUID", "StudyDate=20261121-20261122", "PatientID=P*"}},
		{"a wildcard", study, 3, []string{"QueryRetrieveLevel=STUDY", "StudyInstanceUID", "PatientName=DOE^J*"}},
		{"one character", study, 3, []string{"QueryRetrieveLevel=STUDY", "StudyInstanceUID", "PatientName=DOE^JAN?^00?"}},
		{"a Latin name", study, 1, []string{"SpecificCharacterSet=ISO_IR 192", "QueryRetrieveLevel=STUDY", "PatientID", "PatientName=Äneas^Rüdiger"}},
		{"a Cyrillic name", study, 1, []string{"SpecificCharacterSet=ISO_IR 192", "QueryRetrieveLevel=STUDY", "PatientID", "PatientName=Люкceмбypг"}},
		{"an Arabic name", study, 1, []string{"SpecificCharacterSet=ISO_IR 192", "QueryRetrieveLevel=STUDY", "PatientID", "PatientName=قباني^لنزار"}},
		{"a Japanese name", study, 1, []string{"SpecificCharacterSet=ISO_IR 192", "QueryRetrieveLevel=STUDY", "PatientID", "PatientName=Yamada^Tarou=山田^太郎=やまだ^たろう"}},
		{"a list of studies", study, 2, []string{"QueryRetrieveLevel=STUDY", "PatientID", "StudyInstanceUID=" + string(studies[0].uid) + `\` + string(studies[1].uid)}},
		{"series", study, 2, []string{"QueryRetrieveLevel=SERIES", one, "SeriesInstanceUID", "Modality", "SeriesNumber", "NumberOfSeriesRelatedInstances"}},
		{"images", study, 4, []string{"QueryRetrieveLevel=IMAGE", one, "SOPInstanceUID", "InstanceNumber", "SOPClassUID"}},
		{"patients", patient, 3, []string{"QueryRetrieveLevel=PATIENT", "PatientID=P*", "PatientName", "PatientSex"}},
		{"nobody", study, 0, []string{"QueryRetrieveLevel=STUDY", "StudyInstanceUID", "PatientName=NOBODY"}},
	} {
		keys := askFor(t, c.keys...)
		direct, bridged := rowsOf(t, orthanc, c.class, keys), rowsOf(t, through, c.class, keys)
		if len(direct) < c.least || !slices.Equal(direct, bridged) {
			t.Errorf("%s: %d rows directly, %d over the bridge\n%s\n%s", c.name, len(direct), len(bridged), strings.Join(direct, "\n"), strings.Join(bridged, "\n"))
		}
	}
}

// DCMTK's clients store over the bridge and get the same objects back as directly.
func TestBridgeCarriesTheSameObjects(t *testing.T) {
	fastDCMTK(t)
	workstation := station{"WSB", fmt.Sprint(ports.Free(t))}
	orthanc := startWebOrthanc(t, nil)
	through := startBridge(t, orthanc)
	s := &side{workstation: workstation}
	studies := writeStudies(t, 2, 6)
	run(t, "echoscu", "-aec", string(through.AETitle), through.Host, through.Port)
	dcmsend(t, orthanc, studies[0].files)
	dcmsend(t, through, studies[1].files)
	var want [2][]string
	for i, study := range studies {
		for _, f := range study.files {
			want[i] = append(want[i], fmt.Sprintf("%x", sha256.Sum256(dataSetOf(t, f))))
		}
		slices.Sort(want[i])
		for _, at := range []*peer{orthanc, through} {
			got := getscu(t, s, at, study.uid)
			if slices.Sort(got); !slices.Equal(got, want[i]) {
				t.Errorf("study %d from %s: %d objects, not the %d that were stored", i, at.Address, len(got), len(want[i]))
			}
		}
	}
}
