package atna

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
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
	pace     time.Duration // before each message is read, with little room for what waits
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
			if r.pace > 0 {
				c.(*net.TCPConn).SetReadBuffer(32 << 10)
			}
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
	cut, deaf, pace := r.cutAfter, r.deaf, r.pace
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
		time.Sleep(pace)
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
