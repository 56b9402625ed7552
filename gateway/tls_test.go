package gateway

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/secure"
	"cordon/dicom/ul"
	"cordon/ledger"
	"cordon/pki"
	"cordon/policy"
	"cordon/store"
)

// registry is a certificate authority in a directory of its own.
type registry struct {
	*pki.PKI
	t   *testing.T
	dir string
}

func newRegistry(t *testing.T) *registry {
	t.Helper()
	dir := t.TempDir()
	db, err := store.OpenDB(t.Context(), filepath.Join(dir, "cordon.db"), []store.Migrations{ledger.Migrations(), pki.Migrations()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	l, err := ledger.Open(t.Context(), db, filepath.Join(dir, "ledger.key"), "test")
	if err != nil {
		t.Fatal(err)
	}
	r := &registry{t: t, dir: filepath.Join(dir, "pki")}
	if r.PKI, err = pki.Open(t.Context(), db, l, r.dir); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Init(t.Context(), pki.InitRequest{By: "Ada"}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Gateway(t.Context(), pki.P256, pki.Request{Hosts: []string{"127.0.0.1"}, By: "Ada"}); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *registry) path(name string) string { return filepath.Join(r.dir, name) }

// gateway is the server's end, with revocation.
func (r *registry) gateway() *secure.Endpoint {
	r.t.Helper()
	return r.end(secure.Config{Certificate: r.path("gateway.pem"), Key: r.path("gateway.key"), Authorities: r.path("ca.pem"), CRL: r.path("crl.pem")})
}

func (r *registry) end(c secure.Config) *secure.Endpoint {
	r.t.Helper()
	e, err := secure.Open(c)
	if err != nil {
		r.t.Fatal(err)
	}
	return e
}

// device enrols one and returns its end and its fingerprint.
func (r *registry) device(name string, hosts ...string) (*secure.Endpoint, policy.Fingerprint) {
	r.t.Helper()
	key, err := pki.NewKey(pki.P256)
	if err != nil {
		r.t.Fatal(err)
	}
	csr, err := pki.NewRequest(name, key)
	if err != nil {
		r.t.Fatal(err)
	}
	issued, err := r.Enrol(r.t.Context(), pki.Request{Name: name, CSR: csr, Hosts: hosts, By: "Ada"})
	if err != nil {
		r.t.Fatal(err)
	}
	text, err := pki.KeyPEM(key)
	if err != nil {
		r.t.Fatal(err)
	}
	for file, content := range map[string][]byte{name + ".key": text, name + ".pem": []byte(issued.PEM)} {
		if err := os.WriteFile(r.path(file), content, 0o600); err != nil {
			r.t.Fatal(err)
		}
	}
	f, err := policy.ParseFingerprint(issued.Fingerprint)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.end(secure.Config{Certificate: r.path(name + ".pem"), Key: r.path(name + ".key"), Authorities: r.path("ca.pem")}), f
}

// listenTLS has the house take associations over TLS too.
func (h *house) listenTLS(e *secure.Endpoint) (address string) {
	h.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.gateway.Serve(ctx, tls.NewListener(l, e.Server())) }() // ends with the cleanup
	h.t.Cleanup(func() { cancel(); <-done })
	return l.Addr().String()
}

func associateTLS(t *testing.T, address string, config *tls.Config, calling dicom.AETitle) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	as, err := ul.Dial(ctx, address, config, ul.Request{Calling: calling, Called: "CORDON", Contexts: []ul.ProposedContext{
		{ID: 1, AbstractSyntax: dicom.Verification, TransferSyntaxes: []dicom.UID{dicom.ImplicitVRLittleEndian}},
	}}, ul.Limits{})
	if err != nil {
		return err
	}
	c := dimse.NewConn(as)
	defer c.Close()
	return c.Release(ctx)
}

// A device that must show its certificate is admitted with it over TLS, and with
// no other, without one, or without TLS it is not.
func TestCertificateIsPartOfAdmission(t *testing.T) {
	r := newRegistry(t)
	ct1, its := r.device("ct-1")
	ct2, _ := r.device("ct-2")
	h := start(t, func(c *Config) {
		c.Site.Unknown = policy.LearnUnknown
		c.Site.Devices = []policy.Device{
			{Name: "ct-1", AETitle: "CT1", Certificates: []policy.Fingerprint{its}, TLSRequired: true},
			{Name: "mr-1", AETitle: "MR1", TLSRequired: true},
		}
	})
	address := h.listenTLS(r.gateway())
	for _, c := range []struct {
		name    string
		config  *tls.Config
		calling dicom.AETitle
		plain   bool
		good    bool
	}{
		{"its own certificate", ct1.Client(), "CT1", false, true},
		{"another device's certificate", ct2.Client(), "CT1", false, false},
		{"its certificate under another title", ct1.Client(), "OTHER", false, false},
		{"no TLS", nil, "CT1", true, false},
		{"no TLS where it is required", nil, "MR1", true, false},
		{"TLS where it is required", ct2.Client(), "MR1", false, true},
	} {
		to := address
		if c.plain {
			to = h.address
		}
		err := associateTLS(t, to, c.config, c.calling)
		switch {
		case c.good && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case !c.good && asRejection(t, err) != rejectCalling:
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// Each handshake that fails is on the ledger with its reason, and the next one is
// served.
func TestTLSFailuresAreOnTheLedger(t *testing.T) {
	r, other := newRegistry(t), newRegistry(t)
	good, _ := r.device("ct-1")
	gone, _ := r.device("ct-2")
	other.device("ct-3")
	stranger := r.end(secure.Config{Certificate: other.path("ct-3.pem"), Key: other.path("ct-3.key"), Authorities: r.path("ca.pem")})
	if _, err := r.Revoke(t.Context(), pki.RevokeRequest{Name: "ct-2", By: "Ada", Reason: "stolen"}); err != nil {
		t.Fatal(err)
	}
	h := start(t, func(c *Config) { c.Site.Unknown = policy.LearnUnknown })
	address := h.listenTLS(r.gateway())
	for want, config := range map[string]*tls.Config{
		secure.NoCertificate:    r.end(secure.Config{Authorities: r.path("ca.pem")}).Client(),
		secure.UnknownAuthority: stranger.Client(),
		secure.Revoked:          gone.Client(),
		secure.NoTLS:            nil,
	} {
		before := len(h.recorded("tls.failed"))
		if err := associateTLS(t, address, config, "CT1"); err == nil {
			t.Errorf("%s: associated", want)
		}
		eventually(t, want+" on the ledger", func() bool {
			records := h.recorded("tls.failed")
			return len(records) == before+1 && records[before]["why"] == want
		})
		if err := associateTLS(t, address, good.Client(), "CT1"); err != nil {
			t.Errorf("after %s: %v", want, err)
		}
	}
}

// A device that is off its authority's list of today does not get in by an
// association of yesterday's, and those that are open go on.
func TestRotationUnderARunningAssociation(t *testing.T) {
	r := newRegistry(t)
	device, _ := r.device("ct-1")
	h := start(t, func(c *Config) { c.Site.Unknown = policy.LearnUnknown })
	address := h.listenTLS(r.gateway())
	as, err := ul.Dial(t.Context(), address, device.Client(), ul.Request{Calling: "CT1", Called: "CORDON", Contexts: []ul.ProposedContext{
		{ID: 3, AbstractSyntax: dicom.CTImageStorage, TransferSyntaxes: []dicom.UID{dicom.ExplicitVRLittleEndian}},
	}}, ul.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	c := dimse.NewConn(as)
	defer c.Close()
	if rsp := send(t, c, newImage(t, nil)); rsp.Status != dimse.Success {
		t.Fatalf("%04X", uint16(rsp.Status))
	}
	if _, err := r.Gateway(t.Context(), pki.P256, pki.Request{Hosts: []string{"127.0.0.1"}, By: "Ada"}); err != nil { // a new key
		t.Fatal(err)
	}
	if err := associateTLS(t, address, device.Client(), "CT1"); err != nil {
		t.Errorf("with the new certificate: %v", err)
	}
	if _, err := r.Revoke(t.Context(), pki.RevokeRequest{Name: "ct-1", By: "Ada", Reason: "sold"}); err != nil {
		t.Fatal(err)
	}
	if err := associateTLS(t, address, device.Client(), "CT1"); err == nil {
		t.Error("a revoked device is admitted")
	}
	if rsp := send(t, c, newImage(t, nil)); rsp.Status != dimse.Success {
		t.Errorf("the open association: %04X", uint16(rsp.Status))
	}
	release(t, c)
}

// Plain in, TLS out: what a device sends in the clear goes to the archive over
// TLS, both sides showing certificates; an archive of another authority gets
// nothing, and that is told once.
func TestArchiveOverTLS(t *testing.T) {
	r, other := newRegistry(t), newRegistry(t)
	towards := r.gateway()
	for _, c := range []struct {
		archive *registry
		good    bool
	}{{r, true}, {other, false}} {
		name := "archive"
		server, _ := c.archive.device(name, "127.0.0.1")
		h := start(t, func(c *Config) {
			c.Site.Unknown = policy.LearnUnknown
			c.Upstreams[0].TLS = func() *tls.Config { return towards.Client() }
		})
		front := tlsFront(t, server.Server(), h.archive.address)
		h.gateway.archives["pacs"].upstream.Address = front
		m := h.modality()
		im := newImage(t, nil)
		if rsp := send(t, m, im); rsp.Status != dimse.Success {
			t.Fatalf("%04X", uint16(rsp.Status))
		}
		release(t, m)
		if h.archive.holds(im) != c.good {
			t.Errorf("good archive %v: it has the image %v", c.good, h.archive.holds(im))
		}
		if !c.good {
			time.Sleep(300 * time.Millisecond) // it is tried again meanwhile
			if told := h.recorded("tls.failed"); len(told) != 1 || told[0]["why"] != secure.UnknownAuthority || told[0]["archive"] != "pacs" {
				t.Errorf("on the ledger: %v", told)
			}
		}
	}
}

// tlsFront takes TLS connections and passes what they carry on to address.
func tlsFront(t *testing.T, config *tls.Config, address string) string {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() { // ends with the listener
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go pass(nc, address) // ends with its connections
		}
	}()
	return l.Addr().String()
}

func pass(from net.Conn, address string) {
	defer from.Close()
	to, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer to.Close()
	done := make(chan struct{})
	go func() { // ends when either connection does
		defer close(done)
		copyAll(to, from)
	}()
	copyAll(from, to)
	<-done
}

func copyAll(to, from net.Conn) {
	defer to.Close()
	io.Copy(to, from)
}

// Connections that never finish their TLS handshake take only so many of one
// address's, and none of another's.
func TestHandshakesOfOneAddressAreBounded(t *testing.T) {
	r := newRegistry(t)
	device, _ := r.device("ct-1")
	h := start(t, func(c *Config) { c.Site.Unknown = policy.LearnUnknown })
	address := h.listenTLS(r.gateway())
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 66)}}
	closed := make(chan struct{}, 64)
	for range 2 * maxHandshakesEach {
		nc, err := d.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		go func() { // ends with nc
			nc.Read(make([]byte, 1))
			closed <- struct{}{}
		}()
	}
	for range maxHandshakesEach {
		select {
		case <-closed:
		case <-time.After(5 * time.Second):
			t.Fatal("more handshakes are under way than may be")
		}
	}
	if err := associateTLS(t, address, device.Client(), "CT1"); err != nil {
		t.Errorf("another address: %v", err)
	}
}

// What goes out to a device that listens with TLS goes to that device alone.
func TestDeviceIsCalledOverTLS(t *testing.T) {
	r := newRegistry(t)
	ct1, its := r.device("ct-1", "127.0.0.1")
	ct2, _ := r.device("ct-2", "127.0.0.1")
	towards := r.gateway()
	for _, c := range []struct {
		server *secure.Endpoint
		good   bool
	}{{ct1, true}, {ct2, false}} {
		peer := newScriptedArchive(t)
		front := netip.MustParseAddrPort(tlsFront(t, c.server.Server(), peer.address))
		h := start(t, func(c *Config) {
			c.Site.Devices = []policy.Device{{
				Name: "ct-1", AETitle: "CT1", Addresses: []netip.Prefix{netip.PrefixFrom(front.Addr(), 32)}, Port: front.Port(), PortTLS: true,
				Certificates: []policy.Fingerprint{its},
			}}
			c.OutletTLS = func(d policy.Device) *tls.Config { return towards.Client(d.Certificates[0].String()) }
		})
		a, ok := h.gateway.outlet("ct-1")
		if !ok {
			t.Fatal("nothing can be sent to the device")
		}
		conn, err := h.gateway.associate(t.Context(), a, ul.Request{Calling: "CORDON", Called: "CT1", Contexts: []ul.ProposedContext{
			{ID: 1, AbstractSyntax: dicom.Verification, TransferSyntaxes: []dicom.UID{dicom.ImplicitVRLittleEndian}},
		}})
		if err == nil {
			conn.Close()
		}
		if c.good != (err == nil) || !c.good && secure.Why(err) != secure.OtherCertificate {
			t.Errorf("its own certificate %v: %v", c.good, err)
		}
	}
}

// A flood from one address turns no known device away.
func TestFloodTurnsNoKnownDeviceAway(t *testing.T) {
	h := start(t, func(c *Config) {
		c.Site.Unknown = policy.LearnUnknown
		c.Site.Devices = []policy.Device{{Name: "ct-1", AETitle: "CT1", Addresses: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}}
		c.MaxAssociations, c.MaxPerAddress, c.ConnectionRate = 8, 8, 1000
		c.Limits.ARTIM = time.Second
	})
	stop := make(chan struct{})
	flooded := make(chan int)
	for range 4 {
		go func() { flooded <- flood(h.address, stop) }() // ends with stop
	}
	time.Sleep(50 * time.Millisecond)
	for range 20 {
		c, err := h.associate("CT1", "CORDON")
		if err != nil {
			t.Fatalf("turned away: %v", err)
		}
		if rsp := send(t, c, newImage(t, nil)); rsp.Status != dimse.Success {
			t.Errorf("%04X", uint16(rsp.Status))
		}
		release(t, c)
	}
	close(stop)
	n := 0
	for range 4 {
		n += <-flooded
	}
	if n < 100 {
		t.Errorf("a flood of %d connections is none", n)
	}
	t.Logf("%d connections of the flood", n)
}

// flood opens connections from 127.0.0.66, says half a word on each, and keeps some.
func flood(address string, stop chan struct{}) (n int) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 66)}}
	var kept []net.Conn
	for {
		select {
		case <-stop:
			for _, nc := range kept {
				nc.Close()
			}
			return n
		default:
		}
		nc, err := d.Dial("tcp", address)
		if err != nil {
			continue
		}
		n++
		nc.Write([]byte{1, 0, 0, 0})
		if kept = append(kept, nc); len(kept) > 64 {
			kept[0].Close()
			kept = kept[1:]
		}
	}
}
