package interop

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"

	"cordon/dicom"
	"cordon/interop/ports"
)

// Every service works through Cordon as it does without it: each client asks each provider the same, directly and
// through, and gets the same: the same data sets, bytes and counts.
func TestEveryServiceIsTheSameThroughCordon(t *testing.T) {
	fastDCMTK(t)
	m := newMatrix(t)
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "client\tservice\tprovider\tdirect\tthrough\tsame")
	for _, c := range matrixCells {
		t.Run(c.client+"/"+c.service+"/"+c.provider, func(t *testing.T) {
			direct := c.run(t, m, m.direct)
			through := c.run(t, m, m.through)
			slices.Sort(direct)
			slices.Sort(through)
			same := slices.Equal(direct, through)
			if !same || len(direct) < c.least {
				t.Errorf("directly %d, through Cordon %d; at least %d were to come\ndirectly: %q\nthrough:  %q", len(direct), len(through), c.least, direct, through)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%v\n", c.client, c.service, c.provider, len(direct), len(through), same)
		})
	}
	w.Flush()
	t.Logf("results of each client and service:\n%s", &table)
}

// matrixCells are what is tried. What run returns is compared as a set: data sets by their digest, answers as text.
var matrixCells = []struct {
	client, service, provider string
	least                     int // results
	run                       func(*testing.T, *matrix, *side) []string
}{
	{"DCMTK", "echo", "Orthanc", 1, func(t *testing.T, m *matrix, s *side) []string {
		return []string{run(t, "echoscu", "-aet", s.workstation.title, "-aec", string(s.archive.AETitle), s.archive.Host, s.archive.Port)}
	}},
	{"DCMTK", "store", "Orthanc", 3, func(t *testing.T, m *matrix, s *side) []string {
		return m.stores(t, s, s.archive)
	}},
	{"DCMTK", "store", "dcmqrscp", 3, func(t *testing.T, m *matrix, s *side) []string {
		return m.stores(t, s, s.qr)
	}},
	{"DCMTK", "studies", "Orthanc", 5, func(t *testing.T, m *matrix, s *side) []string {
		return findscu(t, s, s.archive, "-S", "QueryRetrieveLevel=STUDY", "PatientName=DOE*", "StudyDate=20261101-", "StudyInstanceUID", "ModalitiesInStudy")
	}},
	{"DCMTK", "studies", "dcmqrscp", 5, func(t *testing.T, m *matrix, s *side) []string {
		return findscu(t, s, s.qr, "-S", "QueryRetrieveLevel=STUDY", "PatientName=DOE*", "StudyInstanceUID", "AccessionNumber")
	}},
	{"DCMTK", "patients", "Orthanc", 5, func(t *testing.T, m *matrix, s *side) []string {
		return findscu(t, s, s.archive, "-P", "QueryRetrieveLevel=PATIENT", "PatientID=*", "PatientName=DOE*")
	}},
	{"DCMTK", "series", "Orthanc", 2, func(t *testing.T, m *matrix, s *side) []string {
		return findscu(t, s, s.archive, "-S", "QueryRetrieveLevel=SERIES", "StudyInstanceUID="+string(m.studies[0].uid), "SeriesInstanceUID", "Modality")
	}},
	{"DCMTK", "no match", "Orthanc", 0, func(t *testing.T, m *matrix, s *side) []string {
		return findscu(t, s, s.archive, "-S", "QueryRetrieveLevel=STUDY", "PatientName=NOBODY")
	}},
	{"DCMTK", "worklist", "wlmscpfs", 6, func(t *testing.T, m *matrix, s *side) []string {
		return findscu(t, s, s.worklist, "-W", "PatientName", "PatientID", "AccessionNumber", "ScheduledProcedureStepSequence[0].ScheduledStationAETitle=CT1",
			"ScheduledProcedureStepSequence[0].ScheduledProcedureStepStartDate=20261121")
	}},
	{"DCMTK", "worklist, everything", "wlmscpfs", 12, func(t *testing.T, m *matrix, s *side) []string {
		return findscu(t, s, s.worklist, "-W", "PatientName", "ScheduledProcedureStepSequence[0].Modality")
	}},
	{"DCMTK", "C-MOVE", "Orthanc", 8, func(t *testing.T, m *matrix, s *side) []string {
		return movescu(t, s, s.archive, m.studies[0].uid)
	}},
	{"DCMTK", "C-MOVE", "dcmqrscp", 8, func(t *testing.T, m *matrix, s *side) []string {
		return movescu(t, s, s.qr, m.studies[1].uid)
	}},
	{"DCMTK", "C-GET", "Orthanc", 8, func(t *testing.T, m *matrix, s *side) []string {
		return getscu(t, s, s.archive, m.studies[0].uid)
	}},
	{"DCMTK", "C-GET", "dcmqrscp", 8, func(t *testing.T, m *matrix, s *side) []string {
		return getscu(t, s, s.qr, m.studies[1].uid)
	}},
	{"DCMTK", "print", "dcmprscp", 1, func(t *testing.T, m *matrix, s *side) []string {
		return m.prints(t, s)
	}},
	{"DCMTK", "worklist", "Orthanc", 12, func(t *testing.T, m *matrix, s *side) []string {
		return findscu(t, s, s.archive, "-W", "PatientName", "PatientID", "ScheduledProcedureStepSequence[0].Modality=CT")
	}},
	{"DCMTK", "store", "dcmpsrcv", 3, func(t *testing.T, m *matrix, s *side) []string {
		return m.sends(t, s)
	}},
	{"dcmjs", "echo", "Orthanc", 1, func(t *testing.T, m *matrix, s *side) []string {
		return nodeSCU(t, "echo", s.archive, s.box.title, "")
	}},
	{"dcmjs", "store", "Orthanc", 2, func(t *testing.T, m *matrix, s *side) []string {
		return nodeSCU(t, "store", s.archive, s.box.title, asJSON(t, map[string]any{"files": m.studies[2].files[:2]}))
	}},
	{"dcmjs", "studies", "Orthanc", 5, func(t *testing.T, m *matrix, s *side) []string {
		return nodeSCU(t, "studies", s.archive, s.box.title, `{"PatientName":"DOE*","StudyInstanceUID":"","StudyDate":""}`)
	}},
	{"dcmjs", "studies", "dcmqrscp", 5, func(t *testing.T, m *matrix, s *side) []string {
		return nodeSCU(t, "studies", s.qr, s.box.title, `{"PatientName":"DOE*","StudyInstanceUID":"","StudyDate":""}`)
	}},
	{"dcmjs", "series", "Orthanc", 2, func(t *testing.T, m *matrix, s *side) []string {
		return nodeSCU(t, "series", s.archive, s.box.title, asJSON(t, map[string]any{"StudyInstanceUID": m.studies[0].uid, "SeriesInstanceUID": "", "Modality": ""}))
	}},
	{"dcmjs", "worklist", "wlmscpfs", 12, func(t *testing.T, m *matrix, s *side) []string {
		return nodeSCU(t, "worklist", s.worklist, s.box.title, `{"PatientName":"","PatientID":"","ScheduledProcedureStepSequence":[{"Modality":"CT"}]}`)
	}},
	{"dcmjs", "C-MOVE", "Orthanc", 8, func(t *testing.T, m *matrix, s *side) []string {
		return m.moves(t, s, s.archive, m.studies[0].uid)
	}},
	{"dcmjs", "C-MOVE", "dcmqrscp", 8, func(t *testing.T, m *matrix, s *side) []string {
		return m.moves(t, s, s.qr, m.studies[1].uid)
	}},
	{"dcmjs", "C-GET", "Orthanc", 9, func(t *testing.T, m *matrix, s *side) []string {
		return nodeSCU(t, "get", s.archive, s.box.title, asJSON(t, map[string]any{"study": m.studies[0].uid}))
	}},
	{"dcmjs", "procedure step", "dcmjs", 4, func(t *testing.T, m *matrix, s *side) []string {
		return m.steps(t, s)
	}},
	{"Orthanc", "echo", "Orthanc", 1, func(t *testing.T, m *matrix, s *side) []string {
		return []string{s.viewer.post(t, "/modalities/archive/echo", "{}")}
	}},
	{"Orthanc", "studies", "Orthanc", 5, func(t *testing.T, m *matrix, s *side) []string {
		return s.viewer.query(t, "archive", `{"Level":"Study","Query":{"PatientName":"DOE*","StudyInstanceUID":""}}`)
	}},
	{"Orthanc", "studies", "dcmqrscp", 5, func(t *testing.T, m *matrix, s *side) []string {
		return s.viewer.query(t, "qr", `{"Level":"Study","Query":{"PatientName":"DOE*","StudyInstanceUID":""}}`)
	}},
	{"Orthanc", "worklist", "wlmscpfs", 12, func(t *testing.T, m *matrix, s *side) []string {
		return each(t, s.viewer.post(t, "/modalities/worklist/find-worklist", `{"PatientName":"*","PatientID":"","ScheduledProcedureStepSequence":[{"Modality":"CT"}]}`))
	}},
	{"Orthanc", "storage commitment", "Orthanc", 9, func(t *testing.T, m *matrix, s *side) []string {
		return s.commits(t, m.studies[0])
	}},
	{"Orthanc", "C-MOVE", "Orthanc", 8, func(t *testing.T, m *matrix, s *side) []string {
		return s.retrieves(t, "archive", m.studies[0].uid)
	}},
	{"Orthanc", "C-MOVE", "dcmqrscp", 8, func(t *testing.T, m *matrix, s *side) []string {
		return s.retrieves(t, "qr", m.studies[1].uid)
	}},
}

// matrix is the hospital of the test: providers, and for each side how they are reached and who asks.
type matrix struct {
	studies         []studyFiles // that both archives have
	printed         string       // a stored print
	direct, through *side
	printer         *peer
	receiver        *peer // a viewer of DCMTK's
	provider        *nodeSCP
}

// side is one way to the providers: directly, or through Cordon. Each has stations of its own.
type side struct {
	archive, qr, worklist, printer, receiver, provider *peer // as they are called

	workstation station
	box         station // a storage provider, for clients that are none
	boxDir      string
	viewer      *peer        // an Orthanc
	news        []studyFiles // to be stored
}

// station is a client: its AE title, and the port where it receives.
type station struct{ title, port string }

func newMatrix(t *testing.T) *matrix {
	t.Helper()
	m := &matrix{studies: writeStudies(t, 5, 8)}
	m.direct = newSide(t, "D")
	m.through = newSide(t, "T")
	c := newCordon(t, nil)
	m.startProviders(t, c)
	c.add(t, fmt.Sprintf(`archives:
  - {name: orthanc, ae_title: %s, address: '%s'}
  - {name: qrscp, ae_title: %s, address: '%s'}
  - {name: worklist, ae_title: %s, address: '%s', services: [echo, worklist]}
  - {name: printer, ae_title: %s, address: '%s', services: [print]}
  - {name: receiver, ae_title: %s, address: '%s', services: [store]}
  - {name: steps, ae_title: %s, address: '%s', services: [mpps]}
devices:
  - {name: workstation, ae_title: %s, port: %s, addresses: [127.0.0.1/32]}
  - {name: box, ae_title: %s, port: %s, addresses: [127.0.0.1/32]}
  - {name: viewer, ae_title: %s, port: %s, addresses: [127.0.0.1/32]}
`, m.direct.archive.AETitle, m.direct.archive.Address, m.direct.qr.AETitle, m.direct.qr.Address,
		m.direct.worklist.AETitle, m.direct.worklist.Address, m.direct.printer.AETitle, m.direct.printer.Address,
		m.receiver.AETitle, m.receiver.Address, m.provider.AETitle, m.provider.Address,
		m.through.workstation.title, m.through.workstation.port, m.through.box.title, m.through.box.port,
		m.through.viewer.AETitle, m.through.viewer.Port))
	c.start(t)
	m.through.over(c, m.direct)
	for _, s := range []*side{m.direct, m.through} {
		s.viewer.know(t, "archive", s.archive)
		s.viewer.know(t, "qr", s.qr)
		s.viewer.know(t, "worklist", s.worklist)
	}
	return m
}

// newSide starts the stations of one side; their titles end in mark.
func newSide(t *testing.T, mark string) *side {
	t.Helper()
	s := &side{
		workstation: station{"WS" + mark, strconv.Itoa(ports.Free(t))},
		news:        writeStudies(t, 3, 3),
		viewer:      startOrthanc(t, map[string]any{"DicomAet": "VIEW" + mark}),
	}
	s.viewer.AETitle = dicom.AETitle("VIEW" + mark)
	box := startStoreSCP(t, "+B", "+xa", "-aet", "BOX"+mark)
	s.box, s.boxDir = station{"BOX" + mark, box.Port}, box.Dir
	return s
}

// startProviders starts what is asked. The archives reach the stations of the one side directly, those of the other
// through Cordon.
func (m *matrix) startProviders(t *testing.T, c *cordon) {
	t.Helper()
	d, th := m.direct, m.through
	to := []destination{
		{dicom.AETitle(d.workstation.title), d.workstation.port}, {dicom.AETitle(d.box.title), d.box.port}, {d.viewer.AETitle, d.viewer.Port},
		{cordonTitle, c.Port}, {dicom.AETitle(th.workstation.title), c.Port}, {dicom.AETitle(th.box.title), c.Port}, {th.viewer.AETitle, c.Port},
	}
	modalities := map[string]any{}
	for _, x := range to {
		port, _ := strconv.Atoi(x.port)
		modalities[string(x.title)] = []any{string(x.title), "127.0.0.1", port}
	}
	d.worklist = startWorklist(t, 12)
	d.archive = startOrthanc(t, map[string]any{
		"DicomModalities": modalities, "DicomAlwaysAllowFind": true, "DicomAlwaysAllowGet": true, "DicomAlwaysAllowMove": true,
		"Plugins":   []string{"/usr/share/orthanc/plugins/libModalityWorklists.so"},
		"Worklists": map[string]any{"Enable": true, "Database": filepath.Join(d.worklist.Dir, string(d.worklist.AETitle))},
	})
	dcmsend(t, d.archive, filesOf(m.studies))
	d.qr = startQueryRetrieve(t, filesOf(m.studies), to...)
	m.provider = startNodeSCP(t)
	d.provider = &m.provider.peer
	m.printer, m.receiver = startPrinter(t), startViewer(t)
	d.printer, d.receiver = m.printer, m.receiver
	m.printed = storedPrint(t, m.studies[0].files[0], d.printer)
}

// over makes Cordon the way to the providers: the same titles, its address.
func (s *side) over(c *cordon, direct *side) {
	through := func(p *peer) *peer {
		q := *p
		q.Host, q.Port, q.Address, q.hangsUp = c.Host, c.Port, c.Address, false
		return &q
	}
	s.archive, s.qr, s.worklist = through(direct.archive), through(direct.qr), through(direct.worklist)
	s.printer, s.receiver, s.provider = through(direct.printer), through(direct.receiver), through(direct.provider)
}
