package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"testing"
	"time"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
	"cordon/policy"
)

// scriptedPeer is a provider of any service, whose answers a test decides. It
// performs each request in a goroutine of its own.
type scriptedPeer struct {
	t       testing.TB
	address string

	mu       sync.Mutex
	requests []ul.Request
	got      []exchanged
	running  sync.WaitGroup
	conns    []net.Conn
	listener net.Listener

	// Set before any association.
	respond func(rs *ul.Response, rq *ul.Request)                  // changes what it accepts
	serve   func(x *dimse.Exchange, m *dimse.Message, data []byte) // one request
	invoke  func(x *dimse.Exchange, rq *ul.Request)                // what it asks once it is associated
	cancel  func(id uint16)                                        // a C-CANCEL came
}

// exchanged is one message that a scripted peer received.
type exchanged struct {
	command dimse.Command
	context ul.Context
	data    []byte
}

func newScriptedPeer(t testing.TB, change func(*scriptedPeer)) *scriptedPeer {
	return newScriptedPeerAt(t, "127.0.0.1:0", change)
}

// newScriptedPeerAt listens where another one is down.
func newScriptedPeerAt(t testing.TB, address string, change func(*scriptedPeer)) *scriptedPeer {
	p := &scriptedPeer{
		t:       t,
		respond: func(*ul.Response, *ul.Request) {},
		serve: func(x *dimse.Exchange, m *dimse.Message, _ []byte) {
			x.Respond(context.Background(), m, dimse.Command{}, nil)
		},
		cancel: func(uint16) {},
	}
	if change != nil {
		change(p)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	p.listener, p.address = l, l.Addr().String()
	p.running.Go(func() { p.run(l) })
	t.Cleanup(p.down)
	return p
}

func (p *scriptedPeer) port() uint16 {
	_, port, _ := net.SplitHostPort(p.address)
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		p.t.Fatal(err)
	}
	return uint16(n)
}

// down hangs up on everybody and listens no more.
func (p *scriptedPeer) down() {
	p.listener.Close()
	p.mu.Lock()
	for _, nc := range p.conns {
		nc.Close()
	}
	p.mu.Unlock()
	p.running.Wait()
}

func (p *scriptedPeer) run(l net.Listener) {
	for {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		p.conns = append(p.conns, nc)
		p.mu.Unlock()
		p.running.Go(func() { p.accept(nc) })
	}
}

func (p *scriptedPeer) accept(nc net.Conn) {
	defer nc.Close()
	ctx := context.Background()
	in, err := ul.Receive(ctx, nc, ul.Limits{ARTIM: 2 * time.Second})
	if err != nil {
		return
	}
	rq := in.Request
	rs := rq.Respond(func(c ul.ProposedContext) ul.AcceptedContext {
		return ul.AcceptedContext{TransferSyntax: c.TransferSyntaxes[0]}
	})
	rs.Roles, rs.Extended, rs.Async = rq.Roles, rq.Extended, rq.Async
	p.mu.Lock()
	p.requests = append(p.requests, rq)
	p.respond(&rs, &rq)
	p.mu.Unlock()
	as, err := in.Accept(rs)
	if err != nil {
		return
	}
	c := dimse.NewConn(as)
	defer c.Close()
	var under sync.WaitGroup
	defer under.Wait()
	var x *dimse.Exchange
	x = dimse.NewExchange(c, func(ctx context.Context, m *dimse.Message) error {
		if m.Command.Field == dimse.CCancelRQ {
			p.cancel(m.Command.MessageIDBeingRespondedTo)
			return nil
		}
		var data []byte
		if m.Data != nil {
			var err error
			if data, err = io.ReadAll(m.Data); err != nil {
				return err
			}
		}
		p.mu.Lock()
		p.got = append(p.got, exchanged{m.Command, m.Context, data})
		p.mu.Unlock()
		under.Go(func() { p.serve(x, m, data) })
		return nil
	})
	if p.invoke != nil {
		under.Go(func() { p.invoke(x, &rq) })
	}
	x.Run(ctx)
}

func (p *scriptedPeer) received() []exchanged {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]exchanged(nil), p.got...)
}

func (p *scriptedPeer) request(i int) ul.Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.requests[i]
}

// behind opens a house in front of a scripted peer, its archive. CT1 is a
// declared device, and the archive may call from this machine.
func behind(t *testing.T, p *scriptedPeer, change ...func(*Config)) *house {
	t.Helper()
	return open(t, t.TempDir(), behindConfig(p, change...))
}

func behindConfig(p *scriptedPeer, change ...func(*Config)) Config {
	here := []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	return config(p.address, append([]func(*Config){func(c *Config) {
		c.Site.Archives[0].Addresses = here
		c.Site.Devices = []policy.Device{{Name: "ct-1", AETitle: "CT1", Addresses: here, MoveTo: []dicom.AETitle{"CT1", "WS1"}}}
		c.QueryTimeout = 2 * time.Second
		c.RetrieveTimeout = 2 * time.Second
	}}, change...)...)
}

// requestor is a device with an association through the gateway.
type requestor struct {
	t *testing.T
	*dimse.Exchange
	taken chan exchanged // what it was sent; nil: nothing is expected
}

// calls opens an association under the title given and answers what comes on it
// with status.
func (h *house) calls(t *testing.T, rq ul.Request, status dimse.Status) *requestor {
	t.Helper()
	if rq.Calling == "" {
		rq.Calling = "CT1"
	}
	if rq.Called == "" {
		rq.Called = "CORDON"
	}
	as, err := ul.Dial(t.Context(), h.address, nil, rq, ul.Limits{ARTIM: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	c := dimse.NewConn(as)
	r := &requestor{t: t, taken: make(chan exchanged, 100)}
	r.Exchange = dimse.NewExchange(c, func(ctx context.Context, m *dimse.Message) error {
		e := exchanged{command: m.Command, context: m.Context}
		if m.Data != nil {
			var err error
			if e.data, err = io.ReadAll(m.Data); err != nil {
				return err
			}
		}
		r.taken <- e
		return r.Respond(ctx, m, dimse.Command{Status: status}, nil)
	})
	var running sync.WaitGroup
	running.Go(func() { r.Run(context.Background()) })
	t.Cleanup(func() { c.Close(); running.Wait() })
	return r
}

// took returns what the device was sent next.
func (r *requestor) took() exchanged {
	r.t.Helper()
	select {
	case e := <-r.taken:
		return e
	case <-time.After(10 * time.Second):
		r.t.Fatal("the device was sent nothing")
		return exchanged{}
	}
}

// ask sends a request and returns all its responses.
func (r *requestor) ask(id uint8, rq dimse.Command, data []byte) []dimse.Reply {
	r.t.Helper()
	op, err := r.Begin(r.t.Context(), id, rq, reader(data))
	if err != nil {
		r.t.Fatal(err)
	}
	return r.rest(op)
}

func (r *requestor) rest(op *dimse.Operation) []dimse.Reply {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 20*time.Second)
	defer cancel()
	var all []dimse.Reply
	for {
		reply, err := op.Next(ctx)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			r.t.Fatal(err)
		}
		all = append(all, reply)
	}
}

func last(all []dimse.Reply) dimse.Reply { return all[len(all)-1] }

func implicitly(id uint8, class dicom.UID) ul.ProposedContext {
	return ul.ProposedContext{ID: id, AbstractSyntax: class, TransferSyntaxes: []dicom.UID{dicom.ImplicitVRLittleEndian}}
}

func explicitly(id uint8, class dicom.UID) ul.ProposedContext {
	return ul.ProposedContext{ID: id, AbstractSyntax: class, TransferSyntaxes: []dicom.UID{dicom.ExplicitVRLittleEndian}}
}

// identifier is a small data set; hostile has a program where a payload can hide.
func identifier(t testing.TB, hostile bool) []byte {
	t.Helper()
	syntax, _ := dicom.LookupTransferSyntax(dicom.ImplicitVRLittleEndian)
	var b bytes.Buffer
	w := dicom.NewWriter(&b, syntax)
	if hostile {
		w.String(0x00090010, dicom.LO, "CORDON TEST")
		w.Element(0x00091001, dicom.OB, []byte(eicar))
	}
	w.String(0x00080052, dicom.CS, "STUDY")
	w.String(0x00100020, dicom.LO, "4711")
	w.String(dicom.TagStudyInstanceUID, dicom.UI, "1.2.3")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
