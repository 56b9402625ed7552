package atna

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"cordon/ledger"
	"cordon/store"
)

// authority signs the certificates of a test.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t, pool: x509.NewCertPool()}
	a.cert, a.key = a.sign(&x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, NotAfter: time.Now().Add(time.Hour)}, nil)
	a.pool.AddCert(a.cert)
	return a
}

func (a *authority) sign(c *x509.Certificate, issuer *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c.SerialNumber, c.Subject, c.NotBefore = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: "test"}, time.Now().Add(-2*time.Hour)
	signer := a.key
	if issuer == nil {
		issuer, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, issuer, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return parsed, key
}

func (a *authority) pair(until time.Time) tls.Certificate {
	c, key := a.sign(&x509.Certificate{NotAfter: until, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}, a.cert)
	return tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: key}
}

func (a *authority) client() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{a.pair(time.Now().Add(time.Hour))}, RootCAs: a.pool}
}

// recorder is an audit repository: it keeps every whole message that it reads.
type recorder struct {
	t       *testing.T
	config  *tls.Config
	address string

	mu       sync.Mutex
	listener net.Listener
	conns    []net.Conn
	messages []string
	cutAfter int // bytes of the next session, after which it is reset; 0: never
	deaf     bool
}

// newRecorder finds an address; open makes it answer there.
func newRecorder(t *testing.T, a *authority) *recorder {
	r := &recorder{t: t, config: &tls.Config{
		Certificates: []tls.Certificate{a.pair(time.Now().Add(time.Hour))}, ClientCAs: a.pool, ClientAuth: tls.RequireAndVerifyClientCert,
	}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.address = l.Addr().String()
	l.Close()
	t.Cleanup(r.close)
	return r
}

func (r *recorder) open() *recorder {
	l, err := net.Listen("tcp", r.address)
	if err != nil {
		r.t.Fatal(err)
	}
	r.mu.Lock()
	r.listener = l
	r.mu.Unlock()
	go func() { // ends when the listener is closed
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			r.mu.Lock()
			gone := r.listener != l
			if !gone {
				r.conns = append(r.conns, c)
			}
			r.mu.Unlock()
			if gone {
				c.Close()
				return
			}
			go r.serve(c) // ends with the connection
		}
	}()
	return r
}

// close ends it as a crash would: what it has not read is lost.
func (r *recorder) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.listener != nil {
		r.listener.Close()
		r.listener = nil
	}
	for _, c := range r.conns {
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
	r.conns = nil
}

func (r *recorder) serve(raw net.Conn) {
	conn := tls.Server(raw, r.config)
	if conn.Handshake() != nil {
		raw.Close()
		return
	}
	r.mu.Lock()
	cut, deaf := r.cutAfter, r.deaf
	r.cutAfter = 0
	r.mu.Unlock()
	if deaf {
		return // until close
	}
	var in io.Reader = conn
	if cut > 0 {
		in = io.LimitReader(conn, int64(cut))
	}
	for b := bufio.NewReader(in); ; {
		size, err := b.ReadString(' ')
		if errors.Is(err, io.EOF) && size == "" && cut == 0 { // an end in order
			raw.Close()
			return
		}
		n, bad := strconv.Atoi(strings.TrimSpace(size))
		if err != nil || bad != nil {
			break
		}
		m := make([]byte, n)
		if _, err := io.ReadFull(b, m); err != nil {
			break
		}
		r.mu.Lock()
		r.messages = append(r.messages, string(m))
		r.mu.Unlock()
	}
	raw.(*net.TCPConn).SetLinger(0)
	raw.Close()
}

func (r *recorder) got() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.messages)
}

// numbers are the n of the messages that note sent, in order, and without
// repetitions.
func (r *recorder) numbers() []int {
	var out []int
	for _, m := range r.got() {
		if _, rest, ok := strings.Cut(m, `UserID="n`); ok {
			digits, _, _ := strings.Cut(rest, `"`)
			n, err := strconv.Atoi(digits)
			if err != nil {
				r.t.Errorf("%q", m)
			}
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// site is a ledger and what sends it.
type site struct {
	t      *testing.T
	db     *store.DB
	ledger *ledger.Ledger
	next   int
	audit  *Audit
	stop   func()
}

func newSite(t *testing.T) *site {
	t.Helper()
	dir := t.TempDir()
	db, err := store.OpenDB(t.Context(), filepath.Join(dir, "cordon.db"), []store.Migrations{ledger.Migrations(), Migrations()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	l, err := ledger.Open(t.Context(), db, filepath.Join(dir, "ledger.key"), "test")
	if err != nil {
		t.Fatal(err)
	}
	return &site{t: t, db: db, ledger: l}
}

// quick is the timing of tests.
var quick = Timing{Renew: 200 * time.Millisecond, Settle: 100 * time.Millisecond, Finish: time.Second, RetryMin: 20 * time.Millisecond, RetryMax: 50 * time.Millisecond, Alarm: 200 * time.Millisecond, Drain: time.Second}

// send starts to send to the targets; the test ends it.
func (s *site) send(targets ...Target) {
	s.t.Helper()
	s.audit = New(Config{Node: node, Host: "gw1", Targets: targets, Timing: quick}, Parts{DB: s.db, Ledger: s.ledger, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.audit.Run(ctx) }() // ends at stop
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Error(err)
		}
	})
	s.t.Cleanup(s.stop)
}

// note records n rejections, numbered on.
func (s *site) note(n int) {
	s.t.Helper()
	for range n {
		s.ledger.Note("association.rejected", map[string]any{"device": fmt.Sprint("n", s.next), "address": "127.0.0.66", "refusal": "unknown device"})
		s.next++
	}
	if err := s.ledger.Record(context.Background(), "test.flush", map[string]any{}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) status() RepositoryStatus {
	s.t.Helper()
	all, err := s.audit.Status(context.Background())
	if err != nil {
		s.t.Fatal(err)
	}
	return all[0]
}

func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// complete awaits every message that was noted.
func (s *site) complete(r *recorder) {
	s.t.Helper()
	defer func() {
		if s.t.Failed() {
			s.t.Logf("%d of %d; %+v", len(r.numbers()), s.next, s.status())
		}
	}()
	await(s.t, "every message", func() bool { return len(r.numbers()) == s.next })
}

func tlsTarget(r *recorder, a *authority) Target {
	config := a.client()
	return Target{Network: TLS, Format: Syslog, Address: r.address, TLS: func() *tls.Config { return config }}
}

func TestEveryRecordArrivesInOrder(t *testing.T) {
	a := newAuthority(t)
	r, s := newRecorder(t, a).open(), newSite(t)
	s.send(tlsTarget(r, a))
	s.note(1000)
	s.complete(r)
	last := -1
	for _, m := range r.got() {
		if _, rest, ok := strings.Cut(m, `UserID="n`); ok {
			digits, _, _ := strings.Cut(rest, `"`)
			n, _ := strconv.Atoi(digits)
			if n != last+1 {
				t.Fatalf("%d after %d", n, last)
			}
			last = n
		}
	}
	await(t, "the status", func() bool { st := s.status(); return st.Up && st.Waiting == 0 && st.Oldest.IsZero() })
	if first := r.got()[0]; !strings.Contains(first, `originalText="Application Start"`) || !strings.HasPrefix(first, "<85>1 ") {
		t.Errorf("the first message is %s", first)
	}
}

func TestRepositoryAwayLosesNothing(t *testing.T) {
	a := newAuthority(t)
	r, s := newRecorder(t, a), newSite(t)
	s.send(tlsTarget(r, a))
	s.note(50)
	await(t, "the alarm", func() bool { st := s.status(); return st.Alarm && !st.Up && st.Error != "" && st.Waiting > 50 })
	await(t, "the record of the alarm", func() bool {
		away := s.audit.repositories[0]
		away.mu.Lock()
		defer away.mu.Unlock()
		return away.told
	})
	r.open()
	s.note(50)
	s.complete(r)
	await(t, "the end of the alarm", func() bool { st := s.status(); return st.Up && !st.Alarm && st.Waiting == 0 })
	await(t, "records of the outage", func() bool {
		all := strings.Join(r.got(), "")
		return strings.Contains(all, "REPOSITORY-AWAY") && strings.Contains(all, "REPOSITORY-BACK")
	})
}

// A repository that dies takes with it what its machine had acknowledged and it
// had not read: that comes again.
func TestRepositoryKilledAgainAndAgainLosesNothing(t *testing.T) {
	a := newAuthority(t)
	r, s := newRecorder(t, a).open(), newSite(t)
	s.send(tlsTarget(r, a))
	for range 8 {
		s.note(40)
		time.Sleep(30 * time.Millisecond)
		r.close()
		r.open()
	}
	s.complete(r)
}

func TestResetInMidFrameLosesNothing(t *testing.T) {
	a := newAuthority(t)
	r, s := newRecorder(t, a), newSite(t)
	s.note(200)
	for _, cut := range []int{1, 2, 3, 500, 5000, 50001} {
		r.mu.Lock()
		r.cutAfter = cut
		r.mu.Unlock()
		if r.listener == nil {
			r.open()
			s.send(tlsTarget(r, a))
		}
		await(t, "a session of "+strconv.Itoa(cut)+" bytes", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return r.cutAfter == 0 })
		s.note(10)
	}
	s.complete(r)
	for _, m := range r.got() {
		if !strings.HasPrefix(m, "<85>1 ") || !strings.HasSuffix(m, "</AuditMessage>") {
			t.Fatalf("not a whole message: %q", m)
		}
	}
}

func TestExpiredCertificateIsSaidAndMended(t *testing.T) {
	for _, whose := range []string{"repository", "ours"} {
		t.Run(whose, func(t *testing.T) {
			a := newAuthority(t)
			r, s := newRecorder(t, a), newSite(t)
			good := tlsTarget(r, a)
			expired := []tls.Certificate{a.pair(time.Now().Add(-time.Hour))}
			var mu sync.Mutex
			mended := false
			target := good
			if whose == "repository" {
				r.config.Certificates = expired
			} else {
				target.TLS = func() *tls.Config {
					mu.Lock()
					defer mu.Unlock()
					if mended {
						return good.TLS()
					}
					return &tls.Config{Certificates: expired, RootCAs: a.pool}
				}
			}
			r.open()
			s.send(target)
			s.note(20)
			await(t, "the error", func() bool { return strings.Contains(s.status().Error, "expired") })
			if whose == "repository" {
				r.close()
				r.config = &tls.Config{Certificates: []tls.Certificate{a.pair(time.Now().Add(time.Hour))}, ClientCAs: a.pool, ClientAuth: tls.RequireAndVerifyClientCert}
				r.open()
			}
			mu.Lock()
			mended = true
			mu.Unlock()
			s.complete(r)
		})
	}
}

func TestRestartGoesOnWhereItStopped(t *testing.T) {
	a := newAuthority(t)
	r, s := newRecorder(t, a).open(), newSite(t)
	s.send(tlsTarget(r, a))
	s.note(30)
	s.complete(r)
	time.Sleep(time.Second) // it settles
	s.stop()
	before := len(r.got())
	s.note(30)
	s.send(tlsTarget(r, a))
	s.complete(r)
	if again := len(r.got()) - before; again != 30 {
		t.Errorf("%d messages after the restart for 30 records", again)
	}
}

// What is recorded last is handed over before Cordon ends.
func TestTheStopIsHandedOver(t *testing.T) {
	a := newAuthority(t)
	r, s := newRecorder(t, a).open(), newSite(t)
	s.send(tlsTarget(r, a))
	await(t, "the first message", func() bool { return len(r.got()) > 0 })
	s.note(5)
	s.stop()
	s.complete(r)
}

// A repository that takes nothing takes no time from whoever records.
func TestDeafRepositoryBlocksNobody(t *testing.T) {
	a := newAuthority(t)
	r, s := newRecorder(t, a), newSite(t)
	r.deaf = true
	r.open()
	s.send(tlsTarget(r, a))
	begin := time.Now()
	s.note(20000) // more than the sockets hold
	if took := time.Since(begin); took > 15*time.Second {
		t.Errorf("20000 records took %v", took)
	}
	await(t, "the alarm", func() bool { return s.status().Alarm })
	r.close()
	r.mu.Lock()
	r.deaf = false
	r.mu.Unlock()
	r.open()
	s.complete(r)
}

func TestSeveralRepositoriesEachHaveTheirOwnPlace(t *testing.T) {
	a := newAuthority(t)
	one, two, s := newRecorder(t, a).open(), newRecorder(t, a), newSite(t)
	s.send(tlsTarget(one, a), tlsTarget(two, a))
	s.note(40)
	s.complete(one)
	two.open()
	s.complete(two)
}

func TestDatagramsCarryOneMessageEach(t *testing.T) {
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := newSite(t)
	s.send(Target{Network: UDP, Format: Syslog, Address: l.LocalAddr().String(), BOM: true})
	buf := make([]byte, 65536)
	l.SetReadDeadline(time.Now().Add(10 * time.Second))
	n, _, err := l.ReadFrom(buf)
	if err != nil {
		t.Fatal(err)
	}
	if m := buf[:n]; !bytes.HasPrefix(m, []byte("<85>1 ")) || !bytes.Contains(m, []byte(" - \xEF\xBB\xBF<?xml")) || !bytes.HasSuffix(m, []byte("</AuditMessage>")) {
		t.Errorf("%q", m)
	}
}

func TestECSFileHasEveryRecordOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ecs.jsonl")
	s := newSite(t)
	target := Target{Network: File, Format: ECS, Address: path, Size: 1 << 20, Keep: 3}
	s.send(target)
	s.note(100)
	await(t, "the file", func() bool { return s.status().Waiting == 0 })
	s.stop()
	s.note(100)
	s.send(target)
	await(t, "the file", func() bool { return s.status().Waiting == 0 })
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sequence := int64(-1)
	for l := range bytes.Lines(text) {
		var e struct{ Event struct{ Sequence int64 } }
		if err := json.Unmarshal(l, &e); err != nil || e.Event.Sequence != sequence+1 {
			t.Fatalf("%v: %s after %d", err, l, sequence)
		}
		sequence++
	}
	if sequence < 200 {
		t.Errorf("%d records", sequence+1)
	}
}

func TestTrailKnowsWhatHasArrived(t *testing.T) {
	at := func(ms int) time.Time { return moment.Add(time.Duration(ms) * time.Millisecond) }
	var tr trail
	tr.add(mark{10, 100, at(0)})
	tr.add(mark{20, 200, at(1)})
	for _, step := range []struct {
		bytes, next int64
		oldest      time.Time
	}{{50, 0, at(0)}, {100, 10, at(1)}, {199, 0, at(1)}, {200, 20, time.Time{}}} {
		if next := tr.advance(step.bytes); next != step.next || tr.oldest() != step.oldest {
			t.Errorf("%d bytes: %d arrived, the oldest of %v", step.bytes, next, tr.oldest())
		}
	}
	for i := range 5000 { // bounded, however much waits
		tr.add(mark{int64(i), int64(i), at(i)})
	}
	if len(tr.marks) > maxMarks || tr.marks[maxMarks-1].next != 4999 {
		t.Errorf("%d marks, the last %+v", len(tr.marks), tr.marks[maxMarks-1])
	}
}
