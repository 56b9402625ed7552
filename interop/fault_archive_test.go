package interop

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"maps"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
)

// act is what an archive does with one object.
type act string

const (
	take           act = "takes it"
	slow           act = "takes it late"
	takeAndReset   act = "takes it, and resets before the answer"
	resetUnread    act = "resets in mid-object"
	resetUntaken   act = "resets before the answer, and has nothing"
	silent         act = "falls silent in mid-object, the connection half open"
	outOfResources act = "answers A700"
	refuses        act = "answers C000"
	pending        act = "answers FF00, which a C-STORE cannot have"
	otherInstance  act = "answers for another instance, and has nothing"
)

// archive is an SCP whose behaviour a test decides, object by object. It has what it took, in memory of its own, which
// nobody but the oracle looks into. Instances of it are named SERIES.N, series STUDY.N.
type archive struct {
	peer
	behave func(n int) act // of the nth C-STORE; set before up

	mu       sync.Mutex
	has      map[string][sha256.Size]byte // data set by SOP Instance UID
	times    int                          // C-STORE requests
	listener net.Listener
	conns    map[net.Conn]bool
	running  sync.WaitGroup
}

func newArchive(t testing.TB) *archive {
	a := &archive{peer: *newPeer(t, "PACS"), has: map[string][sha256.Size]byte{}, conns: map[net.Conn]bool{}}
	t.Cleanup(a.down)
	return a
}

// up listens; each association has a goroutine, which ends with down.
func (a *archive) up(t *testing.T) {
	t.Helper()
	var l net.Listener
	await(t, "the archive's port", func() (free bool) { // a child of another trial's may hold it until it is executed
		var err error
		l, err = net.Listen("tcp", a.Address)
		return err == nil
	})
	a.mu.Lock()
	a.listener = l
	a.mu.Unlock()
	a.running.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			a.mu.Lock()
			a.conns[nc] = true
			a.mu.Unlock()
			a.running.Go(func() { a.serve(nc) })
		}
	})
}

// down hangs up on everybody.
func (a *archive) down() {
	a.mu.Lock()
	if a.listener != nil {
		a.listener.Close()
	}
	for nc := range a.conns {
		reset(nc)
	}
	a.mu.Unlock()
	a.running.Wait()
}

// reset ends a connection with RST.
func reset(nc net.Conn) {
	if tcp, ok := nc.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	nc.Close()
}

func (a *archive) serve(nc net.Conn) {
	defer func() {
		nc.Close()
		a.mu.Lock()
		delete(a.conns, nc)
		a.mu.Unlock()
	}()
	ctx := context.Background()
	in, err := ul.Receive(ctx, nc, ul.Limits{ARTIM: 5 * time.Second})
	if err != nil {
		return
	}
	as, err := in.Accept(in.Request.Respond(func(c ul.ProposedContext) ul.AcceptedContext {
		return ul.AcceptedContext{TransferSyntax: c.TransferSyntaxes[0]}
	}))
	if err != nil {
		return
	}
	c := dimse.NewConn(as)
	defer c.Close()
	for {
		m, err := c.Receive(ctx)
		if err != nil {
			return
		}
		if err := a.answer(ctx, nc, c, m); err != nil {
			return
		}
	}
}

var errHungUp = errors.New("the archive has hung up")

func (a *archive) answer(ctx context.Context, nc net.Conn, c *dimse.Conn, m *dimse.Message) error {
	switch m.Command.Field {
	case dimse.CStoreRQ:
		return a.store(ctx, nc, c, m)
	case dimse.CFindRQ:
		return a.find(ctx, c, m)
	case dimse.CEchoRQ:
		return c.Respond(ctx, m, dimse.Command{}, nil)
	}
	return errHungUp
}

func (a *archive) store(ctx context.Context, nc net.Conn, c *dimse.Conn, m *dimse.Message) error {
	does := a.next()
	if does == resetUnread || does == silent {
		io.CopyN(io.Discard, m.Data, 1000)
		if does == silent {
			io.Copy(io.Discard, neverEnding{nc}) // until somebody hangs up
		}
		reset(nc)
		return errHungUp
	}
	data, err := io.ReadAll(m.Data)
	if err != nil {
		return err
	}
	rsp := dimse.Command{AffectedSOPInstanceUID: m.Command.AffectedSOPInstanceUID}
	switch does {
	case resetUntaken:
		reset(nc)
		return errHungUp
	case outOfResources:
		rsp.Status = 0xA700
	case refuses:
		rsp.Status = 0xC000
	case pending:
		rsp.Status = 0xFF00
	case otherInstance:
		rsp.AffectedSOPInstanceUID += ".1"
	default:
		a.keep(string(m.Command.AffectedSOPInstanceUID), data)
	}
	switch does {
	case slow:
		time.Sleep(200 * time.Millisecond)
	case takeAndReset:
		reset(nc)
		return errHungUp
	}
	return c.Respond(ctx, m, rsp, nil)
}

// neverEnding reads what nobody will send: it ends with the connection.
type neverEnding struct{ nc net.Conn }

func (n neverEnding) Read(p []byte) (int, error) {
	time.Sleep(10 * time.Millisecond)
	n.nc.SetReadDeadline(time.Now().Add(time.Minute))
	return n.nc.Read(p[:1])
}

func (a *archive) next() act {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.times++
	if a.behave == nil {
		return take
	}
	return a.behave(a.times - 1)
}

func (a *archive) keep(uid string, data []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.has[uid] = sha256.Sum256(data)
}

// lose takes some instances out, and returns them.
func (a *archive) lose(n int, which func(uid string) bool) map[string][sha256.Size]byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	lost := map[string][sha256.Size]byte{}
	for uid, sum := range a.has {
		if len(lost) < n && which(uid) {
			lost[uid] = sum
			delete(a.has, uid)
		}
	}
	return lost
}

// regain puts them back.
func (a *archive) regain(lost map[string][sha256.Size]byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	maps.Copy(a.has, lost)
}

// holds is what the archive has of an instance.
func (a *archive) holds(uid string) ([sha256.Size]byte, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	sum, ok := a.has[uid]
	return sum, ok
}

// above is the series of an instance, the study of a series.
func above(uid string) string { return uid[:max(0, strings.LastIndexByte(uid, '.'))] }

// find answers queries of study root for series and instances.
func (a *archive) find(ctx context.Context, c *dimse.Conn, m *dimse.Message) error {
	data, err := io.ReadAll(m.Data)
	if err != nil {
		return err
	}
	ts, _ := dicom.LookupTransferSyntax(m.Context.TransferSyntax)
	elements, err := dicom.ReadElements(data, ts, 100)
	if err != nil {
		return err
	}
	asked := map[dicom.Tag]string{}
	for _, e := range elements {
		asked[e.Tag] = strings.TrimRight(string(e.Value), " \x00")
	}
	for _, match := range a.matches(asked) {
		var b bytes.Buffer
		w := dicom.NewWriter(&b, ts)
		if match[0] != "" {
			w.String(dicom.TagSOPInstanceUID, dicom.UI, match[0])
		}
		w.String(dicom.TagQueryRetrieveLevel, dicom.CS, asked[dicom.TagQueryRetrieveLevel])
		w.String(dicom.TagStudyInstanceUID, dicom.UI, above(match[1]))
		w.String(dicom.TagSeriesInstanceUID, dicom.UI, match[1])
		if err := w.Close(); err != nil {
			return err
		}
		if err := c.Respond(ctx, m, dimse.Command{Status: dimse.Pending}, &b); err != nil {
			return err
		}
	}
	return c.Respond(ctx, m, dimse.Command{}, nil)
}

// matches are instance and series of each.
func (a *archive) matches(asked map[dicom.Tag]string) [][2]string {
	a.mu.Lock()
	defer a.mu.Unlock()
	study, of := asked[dicom.TagStudyInstanceUID], map[[2]string]bool{}
	for uid := range a.has {
		series := above(uid)
		switch {
		case above(series) != study:
		case asked[dicom.TagQueryRetrieveLevel] == "SERIES":
			of[[2]string{"", series}] = true
		case series == asked[dicom.TagSeriesInstanceUID]:
			of[[2]string{uid, series}] = true
		}
	}
	var all [][2]string
	for match := range of {
		all = append(all, match)
	}
	return all
}
