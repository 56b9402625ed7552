package interop

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"cordon/dicom"
	"cordon/dicom/commit"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
	"cordon/inspect/compose"
	"cordon/interop/ports"
)

// committer is a scripted modality: it stores, asks for storage commitment, and takes reports at its port.
type committer struct {
	t  *testing.T
	at string // where it listens

	mu       sync.Mutex
	listener net.Listener
	reports  map[dicom.UID][]commit.Report
	callers  []ul.Request
}

var commitmentContext = ul.ProposedContext{AbstractSyntax: dicom.StorageCommitmentPushModel, TransferSyntaxes: []dicom.UID{dicom.ExplicitVRLittleEndian, dicom.ImplicitVRLittleEndian}}

// newCommitter does not listen yet.
func newCommitter(t *testing.T) *committer {
	return &committer{t: t, at: fmt.Sprintf("127.0.0.1:%d", ports.Free(t)), reports: map[dicom.UID][]commit.Report{}}
}

func (s *committer) port() string {
	_, port, _ := net.SplitHostPort(s.at)
	return port
}

// listen takes reports until the test ends.
func (s *committer) listen() {
	l, err := net.Listen("tcp", s.at)
	if err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	s.listener = l
	s.mu.Unlock()
	var running sync.WaitGroup
	running.Go(func() { // ends with the listener
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { s.serve(nc) }) // ends with its association
		}
	})
	s.t.Cleanup(func() { l.Close(); running.Wait() })
}

func (s *committer) serve(nc net.Conn) {
	defer nc.Close()
	in, err := ul.Receive(s.t.Context(), nc, ul.Limits{ARTIM: 5 * time.Second})
	if err != nil {
		return
	}
	rs := in.Request.Respond(func(c ul.ProposedContext) ul.AcceptedContext {
		return ul.AcceptedContext{TransferSyntax: c.TransferSyntaxes[0]}
	})
	rs.Roles = in.Request.Roles
	s.mu.Lock()
	s.callers = append(s.callers, in.Request)
	s.mu.Unlock()
	a, err := in.Accept(rs)
	if err != nil {
		return
	}
	c := dimse.NewConn(a)
	defer c.Close()
	for s.take(c) == nil {
	}
}

// take receives one message, and answers it if it is a report.
func (s *committer) take(c *dimse.Conn) error {
	m, err := c.Receive(s.t.Context())
	if err != nil || m.Command.Field != dimse.NEventReportRQ {
		return err
	}
	r, err := commit.ReadReport(m.Data, m.Context.TransferSyntax)
	if err != nil || r.EventType() != *m.Command.EventTypeID {
		s.t.Errorf("report %+v, %v", r, err)
	}
	s.mu.Lock()
	s.reports[r.TransactionUID] = append(s.reports[r.TransactionUID], r)
	s.mu.Unlock()
	return c.Respond(s.t.Context(), m, dimse.Command{Status: dimse.Success, EventTypeID: m.Command.EventTypeID}, nil)
}

func (s *committer) heard(transaction dicom.UID) []commit.Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reports[transaction]
}

// told waits for the report of a transaction.
func (s *committer) told(transaction dicom.UID) commit.Report {
	s.t.Helper()
	await(s.t, "a report on storage commitment", func() bool { return len(s.heard(transaction)) > 0 })
	return s.heard(transaction)[0]
}

// call associates as CT1, to store these objects and to ask for commitment.
func (s *committer) call(c *cordon, objects ...*compose.Object) (*dimse.Conn, error) {
	contexts := []ul.ProposedContext{commitmentContext}
	for _, o := range objects {
		contexts = append(contexts, ul.ProposedContext{AbstractSyntax: o.SOPClass, TransferSyntaxes: []dicom.UID{o.TransferSyntax}})
	}
	a, err := ul.Dial(s.t.Context(), c.Address, nil, ul.Request{Calling: "CT1", Called: c.AETitle, Contexts: contexts}, ul.Limits{ARTIM: 5 * time.Second})
	if err != nil {
		return nil, err
	}
	return dimse.NewConn(a), nil
}

// store sends objects, which must succeed.
func (s *committer) store(c *cordon, objects ...*compose.Object) {
	s.t.Helper()
	conn, err := s.call(c, objects...)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	for i, o := range objects {
		pc, _ := conn.Association().Context(uint8(2*i + 3))
		rsp, err := conn.Store(s.t.Context(), pc.ID, dimse.StoreRequest{SOPClassUID: o.SOPClass, SOPInstanceUID: o.Instance}, bytes.NewReader(o.DataSet()))
		if err != nil || rsp.Status != dimse.Success {
			s.t.Fatalf("status %04X, %v", uint16(rsp.Status), err)
		}
	}
	conn.Release(s.t.Context())
}

// ask requests commitment under a new transaction, and releases the association as soon as that is answered.
func (s *committer) ask(c *cordon, refs ...commit.Reference) (dicom.UID, error) {
	conn, err := s.call(c)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	action := commit.Action{TransactionUID: commit.NewTransactionUID(), References: refs}
	var info bytes.Buffer
	if err := action.Write(&info, dicom.ExplicitVRLittleEndian); err != nil {
		return "", err
	}
	kind := commit.RequestStorageCommitment
	err = conn.Send(s.t.Context(), 1, dimse.Command{
		Field: dimse.NActionRQ, MessageID: conn.NextMessageID(), ActionTypeID: &kind,
		RequestedSOPClassUID: dicom.StorageCommitmentPushModel, RequestedSOPInstanceUID: dicom.StorageCommitmentPushModelInstance,
	}, &info)
	if err != nil {
		return "", err
	}
	m, err := conn.Receive(s.t.Context())
	if err != nil {
		return "", err
	}
	if m.Command.Field != dimse.NActionRSP || m.Command.Status != dimse.Success {
		return "", fmt.Errorf("%v with status %04XH", m.Command.Field, uint16(m.Command.Status))
	}
	conn.Release(s.t.Context())
	return action.TransactionUID, nil
}

func (s *committer) mustAsk(c *cordon, refs ...commit.Reference) dicom.UID {
	s.t.Helper()
	transaction, err := s.ask(c, refs...)
	if err != nil {
		s.t.Fatal(err)
	}
	return transaction
}

func refsOf(objects ...*compose.Object) (all []commit.Reference) {
	for _, o := range objects {
		all = append(all, commit.Reference{SOPClassUID: o.SOPClass, SOPInstanceUID: o.Instance})
	}
	return all
}

// knowing declares the modality to a Cordon that has not been started.
func (c *cordon) knowing(t *testing.T, s *committer) {
	t.Helper()
	c.add(t, fmt.Sprintf("devices: [{name: ct-1, ae_title: CT1, addresses: [127.0.0.1/32], port: %s}]\n", s.port()))
}

// orthancBehind starts an Orthanc that knows the Cordon, which has not been started, and lets it ask for commitment.
func orthancBehind(t *testing.T) (*peer, *cordon) {
	t.Helper()
	o := startOrthanc(t, nil)
	c := newCordon(t, o)
	introduce(t, o, c)
	return o, c
}

// introduce has an Orthanc know a Cordon.
func introduce(t *testing.T, o *peer, c *cordon) {
	t.Helper()
	port, _ := strconv.Atoi(c.Port)
	o.send(t, http.MethodPut, "/modalities/cordon", asJSON(t, map[string]any{"AET": c.AETitle, "Host": c.Host, "Port": port, "AllowStorageCommitment": true}))
}

// A modality with Orthanc as the archive: what is stored there is committed, what is held is not until it is released, what is
// nowhere is not, and what waits for Orthanc is waited for.
func TestCommitmentWithOrthanc(t *testing.T) {
	o, c := orthancBehind(t)
	s := newCommitter(t)
	c.knowing(t, s)
	c.start(t)
	s.listen()

	clean, hostile, missing := []*compose.Object{compose.CT(64, 64), compose.CT(64, 64)}, compose.CT(64, 64), compose.CT(64, 64)
	compose.PrivateOB.Put(hostile, compose.EICAR())
	s.store(c, append(clean, hostile)...)
	all := refsOf(append(clean, hostile, missing)...)
	begin := time.Now()
	r := s.told(s.mustAsk(c, all...))
	t.Logf("reported after %v", time.Since(begin).Round(time.Millisecond))
	reasons := map[dicom.UID]uint16{}
	for _, f := range r.Failed {
		reasons[f.SOPInstanceUID] = f.Reason
	}
	if len(r.Committed) != 2 || len(r.Failed) != 2 || reasons[hostile.Instance] != 0x0110 || reasons[missing.Instance] != 0x0112 {
		t.Errorf("%+v", r)
	}
	if rq := s.callers[0]; rq.Calling != c.AETitle || rq.Called != "CT1" || len(rq.Roles) != 1 || !rq.Roles[0].SCP || rq.Roles[0].SCU {
		t.Errorf("called by %s with roles %+v", rq.Calling, rq.Roles)
	}

	id := c.held(t)[string(hostile.Instance)].ID
	for _, name := range []string{"Ada Ashe", "Bob Birch"} {
		if said := c.cli(t, "vault", "release", id, "--as", name, "--reason", "test"); said.code != 0 {
			t.Fatal(said.err)
		}
	}
	if r := s.told(s.mustAsk(c, refsOf(hostile)...)); len(r.Committed) != 1 {
		t.Errorf("after its release: %+v", r)
	}

	killOrthanc(t, o)
	late := compose.CT(64, 64)
	s.store(c, late)
	waiting := s.mustAsk(c, refsOf(late)...)
	time.Sleep(3 * time.Second)
	if len(s.heard(waiting)) > 0 {
		t.Fatal("reported while Orthanc was away")
	}
	if said := c.cli(t, "commitment", "list", "--json"); !strings.Contains(said.out, `"state":"open"`) || !strings.Contains(said.out, string(waiting)) {
		t.Errorf("cordon commitment list: %s%s", said.out, said.err)
	}
	start(t, o.Dir, "Orthanc", o.Dir+"/orthanc.json")
	o.awaitREST(t)
	introduce(t, o, c)
	if r := s.told(waiting); len(r.Committed) != 1 {
		t.Errorf("after Orthanc is back: %+v", r)
	}
	if got := o.instances(t); !got[string(late.Instance)] || !got[string(hostile.Instance)] {
		t.Error("committed, and not there")
	}
	c.alive(t)
}

// DCMTK's storescp does no storage commitment: nothing is ever said to be committed, and people are told why.
func TestArchiveWithoutCommitmentIsNoSuccess(t *testing.T) {
	c := newCordon(t, startStoreSCP(t, "+B"))
	s := newCommitter(t)
	c.knowing(t, s)
	c.start(t)
	s.listen()
	o := compose.CT(64, 64)
	s.store(c, o)
	if r := s.told(s.mustAsk(c, refsOf(o)...)); len(r.Committed) != 0 || len(r.Failed) != 1 || r.Failed[0].Reason != 0x0110 {
		t.Errorf("%+v", r)
	}
	if said := c.cli(t, "status"); said.code != 1 || !strings.Contains(said.out, "does not do storage commitment") {
		t.Errorf("status %d: %s", said.code, said.out)
	}
}

// Every request that was answered is reported, truly, after kill -9 at random moments.
func TestKillNineForgetsNoCommitment(t *testing.T) {
	t.Parallel()
	o, c := orthancBehind(t)
	s := newCommitter(t)
	c.knowing(t, s)
	c.start(t)
	s.listen()
	here, missing := compose.CT(64, 64), compose.CT(64, 64)
	s.store(c, here)
	want := map[dicom.UID]bool{} // whether it is to be committed
	for round := range 6 {
		stop := time.AfterFunc(100*time.Millisecond+rand.N(900*time.Millisecond), c.process.kill)
		asked := 0
		for i := 0; ; i++ {
			object := missing
			if i%2 == 0 {
				object = here
			}
			transaction, err := s.ask(c, refsOf(object)...)
			if err != nil {
				break // killed
			}
			want[transaction] = object == here
			asked++
			time.Sleep(rand.N(30 * time.Millisecond))
		}
		stop.Stop()
		c.process.kill()
		t.Logf("round %d: killed after %d requests", round, asked)
		if round == 2 {
			killOrthanc(t, o)
		}
		if round == 4 {
			start(t, o.Dir, "Orthanc", o.Dir+"/orthanc.json")
			o.awaitREST(t)
			introduce(t, o, c)
		}
		c.start(t)
	}
	await(t, "every report", func() bool {
		for transaction := range want {
			if len(s.heard(transaction)) == 0 {
				return false
			}
		}
		return true
	})
	twice := 0
	for transaction, committed := range want {
		for i, r := range s.heard(transaction) {
			if committed != (len(r.Committed) == 1 && len(r.Failed) == 0) {
				t.Errorf("%+v, committed %v", r, committed)
			}
			if i > 0 {
				twice++
			}
		}
	}
	t.Logf("%d requests, all reported; %d reports came twice", len(want), twice)
	await(t, "nothing to wait", func() bool { return strings.Contains(c.cli(t, "commitment", "list").out, "nothing waits") })
	if said := c.cli(t, "ledger", "verify"); said.code != 0 {
		t.Errorf("ledger: %s", said.err)
	}
}

// ris is a scripted SCP of procedure steps.
type ris struct {
	*peer
	mu  sync.Mutex
	got []string
}

func (r *ris) serve(t *testing.T) {
	l, err := net.Listen("tcp", r.Address)
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() { // ends with the listener
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { r.associate(t, nc) }) // ends with its association
		}
	})
	t.Cleanup(func() { l.Close(); running.Wait() })
}

func (r *ris) associate(t *testing.T, nc net.Conn) {
	defer nc.Close()
	in, err := ul.Receive(t.Context(), nc, ul.Limits{ARTIM: 5 * time.Second})
	if err != nil {
		return
	}
	a, err := in.Accept(in.Request.Respond(func(c ul.ProposedContext) ul.AcceptedContext {
		return ul.AcceptedContext{TransferSyntax: c.TransferSyntaxes[0]}
	}))
	if err != nil {
		return
	}
	c := dimse.NewConn(a)
	defer c.Close()
	for {
		m, err := c.Receive(t.Context())
		if err != nil {
			return
		}
		status, uid := dimse.Success, m.Command.AffectedSOPInstanceUID+m.Command.RequestedSOPInstanceUID
		if m.Data != nil {
			io.Copy(io.Discard, m.Data)
		}
		r.mu.Lock()
		line := fmt.Sprintf("%v %s", m.Command.Field, uid)
		if m.Command.Field == dimse.NCreateRQ && strings.Contains(strings.Join(r.got, "\n")+"\n", line+"\n") {
			status = dimse.DuplicateSOPInstance
		} else if m.Command.Field != dimse.CEchoRQ {
			r.got = append(r.got, line)
		}
		r.mu.Unlock()
		if c.Respond(t.Context(), m, dimse.Command{Status: status}, nil) != nil {
			return
		}
	}
}

// Procedure steps that were answered while the archive was away arrive after kill -9, each N-CREATE before its N-SETs.
func TestKillNineLosesNoProcedureStep(t *testing.T) {
	r := &ris{peer: newPeer(t, "RIS")}
	c := newCordon(t, r.peer)
	c.start(t)
	var acknowledged []string
	send := func(conn *dimse.Conn, rq dimse.Command, data []byte) error {
		rq.MessageID = conn.NextMessageID()
		if err := conn.Send(context.Background(), 1, rq, bytes.NewReader(data)); err != nil {
			return err
		}
		m, err := conn.Receive(context.Background())
		if err != nil {
			return err
		}
		if m.Command.Status != dimse.Success {
			return fmt.Errorf("status %04XH", uint16(m.Command.Status))
		}
		acknowledged = append(acknowledged, fmt.Sprintf("%v %s", rq.Field, rq.AffectedSOPInstanceUID+rq.RequestedSOPInstanceUID))
		return nil
	}
	var data bytes.Buffer
	syntax, _ := dicom.LookupTransferSyntax(dicom.ImplicitVRLittleEndian)
	w := dicom.NewWriter(&data, syntax)
	w.String(0x00100010, dicom.PN, "PLAY^TITANIA")
	w.String(0x00400252, dicom.CS, "IN PROGRESS")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for round := range 3 {
		time.AfterFunc(100*time.Millisecond+rand.N(400*time.Millisecond), c.process.kill)
		for i := 0; ; i++ {
			a, err := ul.Dial(t.Context(), c.Address, nil, ul.Request{Calling: "CT1", Called: c.AETitle, Contexts: []ul.ProposedContext{
				{ID: 1, AbstractSyntax: dicom.ModalityPerformedProcedureStep, TransferSyntaxes: []dicom.UID{dicom.ImplicitVRLittleEndian}},
			}}, ul.Limits{ARTIM: 5 * time.Second})
			if err != nil {
				break
			}
			conn := dimse.NewConn(a)
			uid := dicom.UID(fmt.Sprintf("2.25.%d%06d", round+1, i))
			err = send(conn, dimse.Command{Field: dimse.NCreateRQ, AffectedSOPClassUID: dicom.ModalityPerformedProcedureStep, AffectedSOPInstanceUID: uid}, data.Bytes())
			if err == nil {
				err = send(conn, dimse.Command{Field: dimse.NSetRQ, RequestedSOPClassUID: dicom.ModalityPerformedProcedureStep, RequestedSOPInstanceUID: uid}, data.Bytes())
			}
			conn.Close()
			if err != nil {
				break
			}
		}
		c.process.kill()
		t.Logf("round %d: killed with %d acknowledged", round, len(acknowledged))
		c.start(t)
	}
	var st struct{ Steps struct{ Waiting int } }
	if err := json.Unmarshal([]byte(c.cli(t, "status", "--json").out), &st); err != nil || st.Steps.Waiting < len(acknowledged) {
		t.Errorf("%d acknowledged, %d wait, %v", len(acknowledged), st.Steps.Waiting, err)
	}
	r.serve(t)
	await(t, "all to be delivered", func() bool { return strings.Contains(c.cli(t, "step", "list").out, "nothing waits") })
	r.mu.Lock()
	defer r.mu.Unlock()
	at := map[string]int{}
	for i, line := range r.got {
		at[line] = i
	}
	for _, line := range acknowledged {
		i, ok := at[line]
		if !ok {
			t.Errorf("lost: %s", line)
		}
		if uid, set := strings.CutPrefix(line, "N-SET-RQ "); set && at["N-CREATE-RQ "+uid] > i {
			t.Errorf("out of order: %s", uid)
		}
	}
	t.Logf("%d acknowledged, all delivered in order", len(acknowledged))
}

// An Orthanc in a modality's place asks for commitment itself, and takes the report at its own port: its code, not ours, has to
// understand what it hears.
func TestOrthancAsksForCommitment(t *testing.T) {
	_, c := orthancBehind(t)
	modality := startOrthanc(t, map[string]any{"DicomAet": "CT1", "DicomAlwaysAllowStore": true})
	c.add(t, fmt.Sprintf("devices: [{name: ct-1, ae_title: CT1, addresses: [127.0.0.1/32], port: %s}]\n", modality.Port))
	c.start(t)
	introduce(t, modality, c)

	clean, hostile := compose.CT(64, 64), compose.CT(64, 64)
	compose.PrivateOB.Put(hostile, compose.EICAR())
	var ids []string
	for _, o := range []*compose.Object{clean, hostile} {
		var stored struct{ ID string }
		unmarshal(t, modality.post(t, "/instances", string(o.File())), &stored)
		ids = append(ids, stored.ID)
	}
	modality.post(t, "/modalities/cordon/store", asJSON(t, ids))

	want := map[*compose.Object]string{clean: "Success", hostile: "Failure"}
	for o, status := range want {
		var asked struct{ ID string }
		unmarshal(t, modality.post(t, "/modalities/cordon/storage-commitment", asJSON(t, map[string]any{
			"DicomInstances": [][]string{{string(o.SOPClass), string(o.Instance)}},
		})), &asked)
		var report struct {
			Status   string
			Success  []json.RawMessage
			Failures []struct{ FailureReason int }
		}
		await(t, "Orthanc to hear the report", func() bool {
			unmarshal(t, string(modality.get(t, "/storage-commitment/"+asked.ID)), &report)
			return report.Status != "Pending"
		})
		if report.Status != status || status == "Success" && len(report.Success) != 1 ||
			status == "Failure" && (len(report.Failures) != 1 || report.Failures[0].FailureReason != 0x0110) {
			t.Errorf("%s: %+v", status, report)
		}
	}
}
