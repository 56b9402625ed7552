package secure

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"crypto"
)

// authority signs certificates and lists in a test's directory.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  crypto.Signer
	next int64
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir(), key: newKey(t), next: 2}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der := a.sign(template, template, a.key.Public())
	a.cert, _ = x509.ParseCertificate(der)
	a.write("ca.pem", "CERTIFICATE", der)
	return a
}

func newKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (a *authority) sign(template, parent *x509.Certificate, key crypto.PublicKey) []byte {
	a.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return der
}

func (a *authority) path(name string) string { return filepath.Join(a.dir, name) }

func (a *authority) write(name, kind string, der []byte) {
	a.t.Helper()
	if err := os.WriteFile(a.path(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

// issue writes NAME.pem and NAME.key and returns the certificate.
func (a *authority) issue(name string, key crypto.Signer, change ...func(*x509.Certificate)) *x509.Certificate {
	a.t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(a.next), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	a.next++
	for _, f := range change {
		f(template)
	}
	der := a.sign(template, a.cert, key.Public())
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.write(name+".key", "PRIVATE KEY", keyDER)
	a.write(name+".pem", "CERTIFICATE", der)
	c, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return c
}

// revoke writes crl.pem with the given certificates on it.
func (a *authority) revoke(until time.Duration, cs ...*x509.Certificate) {
	a.t.Helper()
	crl := &x509.RevocationList{Number: big.NewInt(time.Now().UnixNano()), ThisUpdate: time.Now().Add(-2 * time.Hour), NextUpdate: time.Now().Add(until)}
	for _, c := range cs {
		crl.RevokedCertificateEntries = append(crl.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: c.SerialNumber, RevocationTime: time.Now()})
	}
	der, err := x509.CreateRevocationList(rand.Reader, crl, a.cert, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.write("crl.pem", "X509 CRL", der)
}

// end is the configuration of an endpoint that shows NAME.
func (a *authority) end(name string) Config {
	return Config{Name: name, Certificate: a.path(name + ".pem"), Key: a.path(name + ".key"), Authorities: a.path("ca.pem")}
}

func mustOpen(t *testing.T, c Config) *Endpoint {
	t.Helper()
	e, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// shake does one handshake over a loopback connection, a byte included, and returns each side's
// error.
func shake(t *testing.T, server, client *tls.Config) (fromServer, fromClient error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan error, 1)
	go func() { // ends with its connection
		nc, err := l.Accept()
		if err != nil {
			done <- err
			return
		}
		defer nc.Close()
		s := tls.Server(nc, server)
		s.SetDeadline(time.Now().Add(10 * time.Second))
		err = s.Handshake()
		if err == nil {
			_, err = s.Write([]byte{1})
		}
		done <- err
	}()
	if client.ServerName == "" {
		client.ServerName = "127.0.0.1"
	}
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := tls.Client(nc, client)
	c.SetDeadline(time.Now().Add(10 * time.Second))
	_, fromClient = io.ReadFull(c, make([]byte, 1))
	c.Close()
	return <-done, fromClient
}

func TestMutualAuthentication(t *testing.T) {
	a, b := newAuthority(t, "a"), newAuthority(t, "b")
	a.issue("gateway", newKey(t))
	a.issue("ct-1", newKey(t))
	a.issue("old", newKey(t), func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	a.issue("server-only", newKey(t), func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	b.issue("stranger", newKey(t))
	server := mustOpen(t, a.end("gateway"))
	stranger := b.end("stranger")
	stranger.Authorities = a.path("ca.pem")
	for _, c := range []struct {
		name   string
		client Config
		why    string
	}{
		{"good", a.end("ct-1"), ""},
		{"no certificate", Config{Authorities: a.path("ca.pem")}, NoCertificate},
		{"expired", a.end("old"), Expired},
		{"another authority", stranger, UnknownAuthority},
		{"not for clients", a.end("server-only"), Unfit},
	} {
		err, _ := shake(t, server.Server(), mustOpen(t, c.client).Client())
		if c.why == "" && err != nil || c.why != "" && (err == nil || Why(err) != c.why) {
			t.Errorf("%s: %v (%s), want %q", c.name, err, whyOf(err), c.why)
		}
	}
	optional := a.end("gateway")
	optional.Optional = true
	if err, _ := shake(t, mustOpen(t, optional).Server(), mustOpen(t, Config{Authorities: a.path("ca.pem")}).Client()); err != nil {
		t.Errorf("no certificate where none has to be shown: %v", err)
	}
	if err, _ := shake(t, mustOpen(t, optional).Server(), mustOpen(t, stranger).Client()); whyOf(err) != UnknownAuthority {
		t.Errorf("another authority's where none has to be shown: %v", err)
	}
	// The client looks as closely.
	other := b.end("stranger")
	if _, err := shake(t, server.Server(), mustOpen(t, other).Client()); err == nil || Why(err) != UnknownAuthority {
		t.Errorf("a client took a server of another authority: %v", err)
	}
	named := a.end("ct-1")
	named.ServerName = "elsewhere"
	if _, err := shake(t, server.Server(), mustOpen(t, named).Client()); err == nil || Why(err) != OtherName {
		t.Errorf("a client took a server of another name: %v", err)
	}
}

func whyOf(err error) string {
	if err == nil {
		return ""
	}
	return Why(err)
}

func TestVersionsAndSuites(t *testing.T) {
	a := newAuthority(t, "a")
	a.issue("gateway", newKey(t))
	config := a.end("gateway")
	config.Authorities = ""
	server := mustOpen(t, config)
	client := func(change func(*tls.Config)) *tls.Config {
		c := &tls.Config{RootCAs: x509.NewCertPool()}
		c.RootCAs.AddCert(a.cert)
		change(c)
		return c
	}
	for _, c := range []struct {
		name   string
		change func(*tls.Config)
		why    string
	}{
		{"TLS 1.3", func(c *tls.Config) { c.MinVersion = tls.VersionTLS13 }, ""},
		{"TLS 1.2", func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, ""},
		{"TLS 1.1", func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }, Version},
		{"TLS 1.0", func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS10 }, Version},
		{"CBC", func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}
		}, Suites},
		{"RSA key exchange", func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}
		}, Suites},
	} {
		err, _ := shake(t, server.Server(), client(c.change))
		if whyOf(err) != c.why {
			t.Errorf("%s: %v (%s), want %q", c.name, err, whyOf(err), c.why)
		}
	}
}

// An old server is refused as an old client is.
func TestOldServers(t *testing.T) {
	a := newAuthority(t, "a")
	a.issue("archive", newKey(t))
	pair, err := tls.LoadX509KeyPair(a.path("archive.pem"), a.path("archive.key"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		server *tls.Config
		why    string
	}{
		{&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, Version},
		{&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}}, RefusedByPeer},
		{&tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, MaxVersion: tls.VersionTLS12}, RefusedByPeer},
	} {
		c.server.Certificates = []tls.Certificate{pair}
		if _, err := shake(t, c.server, mustOpen(t, Config{Authorities: a.path("ca.pem")}).Client()); err == nil || Why(err) != c.why {
			t.Errorf("%v (%s), want %s", err, whyOf(err), c.why)
		}
	}
}

func TestPlainDICOMIsNoTLS(t *testing.T) {
	a := newAuthority(t, "a")
	a.issue("gateway", newKey(t))
	here, there := net.Pipe()
	go func() { // ends when there is closed
		here.Write([]byte("\x01\x00\x00\x00\x00\xcd\x00\x01"))
		io.Copy(io.Discard, here)
	}()
	defer there.Close()
	err := tls.Server(there, mustOpen(t, a.end("gateway")).Server()).Handshake()
	if err == nil || Why(err) != NoTLS {
		t.Errorf("%v: %s", err, whyOf(err))
	}
}

// A list is looked at in each handshake: revocation takes effect with the next
// one, for a client that could resume its session too.
func TestRevocationTakesEffectAtOnce(t *testing.T) {
	a := newAuthority(t, "a")
	a.issue("gateway", newKey(t))
	device := a.issue("ct-1", newKey(t))
	a.revoke(time.Hour)
	config := a.end("gateway")
	config.CRL = a.path("crl.pem")
	server := mustOpen(t, config)
	listening := server.Server()
	cache := tls.NewLRUClientSessionCache(4)
	try := func() error {
		client := mustOpen(t, a.end("ct-1")).Client()
		client.ClientSessionCache, client.SessionTicketsDisabled, client.VerifyConnection = cache, false, nil
		err, _ := shake(t, listening, client)
		return err
	}
	for range 2 {
		if err := try(); err != nil {
			t.Fatal(err)
		}
	}
	a.revoke(time.Hour, device)
	if err := try(); err == nil || Why(err) != Revoked || Shown(err) == nil || !Shown(err).Equal(device) {
		t.Errorf("after its revocation: %v", err)
	}
	// A client looks its server up as well.
	client := a.end("gateway")
	client.CRL = a.path("crl.pem")
	serving := a.end("ct-1")
	if _, err := shake(t, mustOpen(t, serving).Server(), mustOpen(t, client).Client()); err == nil || Why(err) != Revoked {
		t.Errorf("a client took a revoked server: %v", err)
	}
}

// What an overdue list revokes stays revoked; the others pass, and Status says so,
// unless the configuration refuses.
func TestOverdueList(t *testing.T) {
	a := newAuthority(t, "a")
	a.issue("gateway", newKey(t))
	a.issue("ct-1", newKey(t))
	gone := a.issue("ct-2", newKey(t))
	a.revoke(-time.Minute, gone)
	for _, c := range []struct {
		refuse bool
		who    string
		why    string
	}{{false, "ct-1", ""}, {false, "ct-2", Revoked}, {true, "ct-1", StaleList}, {true, "ct-2", Revoked}} {
		config := a.end("gateway")
		config.CRL, config.RefuseStale = a.path("crl.pem"), c.refuse
		server := mustOpen(t, config)
		err, _ := shake(t, server.Server(), mustOpen(t, a.end(c.who)).Client())
		if whyOf(err) != c.why {
			t.Errorf("%s, refuse %v: %v, want %q", c.who, c.refuse, err, c.why)
		}
		if !hasItem(server.Status(), "revocation list", func(at time.Time) bool { return at.Before(time.Now()) }) {
			t.Errorf("the overdue list is not in the status: %+v", server.Status())
		}
	}
}

func hasItem(s Status, what string, ends func(time.Time) bool) bool {
	for _, i := range s.Items {
		if i.What == what && ends(i.NotAfter) {
			return true
		}
	}
	return false
}

func TestWeakKeysAreRefused(t *testing.T) {
	a := newAuthority(t, "a")
	a.issue("gateway", newKey(t))
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	a.issue("short", short)
	curve, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a.issue("curve", curve)
	server := mustOpen(t, a.end("gateway"))
	for _, name := range []string{"short", "curve"} {
		if _, err := Open(a.end(name)); err == nil || !strings.Contains(err.Error(), "§B.12") {
			t.Errorf("%s: opened with a weak key of our own: %v", name, err)
		}
		pair, err := tls.LoadX509KeyPair(a.path(name+".pem"), a.path(name+".key"))
		if err != nil {
			t.Fatal(err)
		}
		client := mustOpen(t, Config{Authorities: a.path("ca.pem")}).Client()
		client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
		err, _ = shake(t, server.Server(), client)
		if err == nil {
			t.Errorf("%s: admitted", name)
		}
	}
}

func TestPinnedServer(t *testing.T) {
	a := newAuthority(t, "a")
	device := a.issue("ct-1", newKey(t), func(c *x509.Certificate) { c.IPAddresses = nil })
	a.issue("ct-2", newKey(t))
	config, pin := Config{Authorities: a.path("ca.pem")}, Fingerprint(device)
	server := a.end("ct-1")
	server.Authorities = ""
	if _, err := shake(t, mustOpen(t, server).Server(), mustOpen(t, config).Client(pin)); err != nil {
		t.Errorf("the pinned certificate: %v", err)
	}
	server = a.end("ct-2")
	server.Authorities = ""
	if _, err := shake(t, mustOpen(t, server).Server(), mustOpen(t, config).Client(pin)); err == nil || Why(err) != OtherCertificate {
		t.Errorf("the certificate of another device: %v", err)
	}
}

// A half-written pair changes nothing and is a problem until it is whole; a whole
// one is in the next handshake, and what is open goes on.
func TestRotation(t *testing.T) {
	a := newAuthority(t, "a")
	first := a.issue("gateway", newKey(t))
	config := a.end("gateway")
	config.Authorities = ""
	var changes []Change
	config.Notify = func(c Change) { changes = append(changes, c) }
	server := mustOpen(t, config)
	listening := server.Server()
	shown := func() *x509.Certificate {
		t.Helper()
		var seen *x509.Certificate
		client := mustOpen(t, Config{Authorities: a.path("ca.pem")}).Client()
		verify := client.VerifyConnection
		client.VerifyConnection = func(cs tls.ConnectionState) error {
			seen = cs.PeerCertificates[0]
			return verify(cs)
		}
		if err, _ := shake(t, listening, client); err != nil {
			t.Fatal(err)
		}
		return seen
	}
	if !shown().Equal(first) {
		t.Fatal("not the certificate of the file")
	}
	oldKey, err := os.ReadFile(a.path("gateway.key"))
	if err != nil {
		t.Fatal(err)
	}
	second := a.issue("gateway", newKey(t))
	newKey, err := os.ReadFile(a.path("gateway.key"))
	if err != nil {
		t.Fatal(err)
	}
	for _, half := range [][]byte{oldKey, newKey[:len(newKey)/2], nil} {
		os.WriteFile(a.path("gateway.key"), half, 0o600)
		if !shown().Equal(first) {
			t.Error("a pair that does not fit took the place of one that does")
		}
		if s := server.Status(); len(s.Problems) != 1 {
			t.Errorf("problems: %q", s.Problems)
		}
	}
	os.Remove(a.path("gateway.key"))
	if !shown().Equal(first) {
		t.Error("a missing file took the certificate away")
	}
	os.WriteFile(a.path("gateway.key"), newKey, 0o600)
	if !shown().Equal(second) {
		t.Error("the new certificate is not shown")
	}
	if s := server.Status(); len(s.Problems) != 0 {
		t.Errorf("problems: %q", s.Problems)
	}
	last := changes[len(changes)-1]
	if len(changes) < 3 || changes[0].Err == nil || last.Err != nil || last.Fingerprint != Fingerprint(second) {
		t.Errorf("changes: %+v", changes)
	}
}

// An end whose files were never right refuses every handshake, as server and as
// client, says so once, and works as soon as they are right.
func TestClosedUntilItsFilesAreRight(t *testing.T) {
	a := newAuthority(t, "a")
	a.issue("gateway", newKey(t))
	a.issue("other", newKey(t))
	a.issue("ct-1", newKey(t))
	a.revoke(time.Hour)
	for name, c := range map[string]struct{ broken, with string }{
		"a page for a list":       {"crl.pem", "<!DOCTYPE html>"},
		"no authority":            {"ca.pem", ""},
		"half a certificate":      {"gateway.pem", "-----BEGIN CERTIFICATE-----\nMIIB"},
		"another's key":           {"gateway.key", read(t, a.path("other.key"))},
		"nothing where a key was": {"gateway.key", ""},
	} {
		t.Run(name, func(t *testing.T) {
			whole := read(t, a.path(c.broken))
			peer := mustOpen(t, a.end("ct-1")) // before
			os.WriteFile(a.path(c.broken), []byte(c.with), 0o600)
			defer os.WriteFile(a.path(c.broken), []byte(whole), 0o600)
			config := a.end("gateway")
			config.CRL = a.path("crl.pem")
			var changes []Change
			config.Notify = func(c Change) { changes = append(changes, c) }
			if _, err := Open(config); err == nil {
				t.Fatal("opened")
			}
			changes = nil
			e, err := New(config)
			if err != nil {
				t.Fatal(err)
			}
			listening := e.Server()
			for range 2 {
				if err, client := shake(t, listening, peer.Client()); whyOf(err) != OwnFiles || client == nil {
					t.Errorf("as a server: %v, the client: %v", err, client)
				}
				if server, err := shake(t, peer.Server(), e.Client()); whyOf(err) != OwnFiles || server == nil {
					t.Errorf("as a client: %v, the server: %v", err, server)
				}
				if _, err := shake(t, peer.Server(), e.Client(strings.Repeat("0", 64))); whyOf(err) != OwnFiles {
					t.Errorf("as a client that knows the server: %v", err)
				}
			}
			if s := e.Status(); len(s.Problems) != 1 || !strings.Contains(s.Problems[0], "gateway refuses every connection") {
				t.Errorf("problems: %q", s.Problems)
			}
			if len(changes) != 1 || !changes[0].Closed || changes[0].Err == nil {
				t.Errorf("changes: %+v", changes)
			}
			os.WriteFile(a.path(c.broken), []byte(whole), 0o600)
			if server, client := shake(t, listening, peer.Client()); server != nil || client != nil {
				t.Errorf("after the repair: %v, %v", server, client)
			}
			if server, client := shake(t, peer.Server(), e.Client()); server != nil || client != nil {
				t.Errorf("as a client after the repair: %v, %v", server, client)
			}
			if s := e.Status(); len(s.Problems) != 0 || len(changes) != 2 || changes[1].Err != nil {
				t.Errorf("after the repair: problems %q, changes %+v", s.Problems, changes)
			}
			// From now on there is something that stays in use.
			os.WriteFile(a.path(c.broken), []byte(c.with), 0o600)
			if server, _ := shake(t, listening, peer.Client()); server != nil || changes[len(changes)-1].Closed {
				t.Errorf("broken again: %v, %+v", server, changes)
			}
		})
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A list that none of the authorities signed does not take the place of one that
// they did, nor does rubbish.
func TestForeignListIsNotBelieved(t *testing.T) {
	a, b := newAuthority(t, "a"), newAuthority(t, "a") // of the same name
	a.issue("gateway", newKey(t))
	device := a.issue("ct-1", newKey(t))
	a.revoke(time.Hour, device)
	b.revoke(time.Hour)
	config := a.end("gateway")
	config.CRL = a.path("crl.pem")
	server := mustOpen(t, config)
	foreign, err := os.ReadFile(b.path("crl.pem"))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range [][]byte{foreign, []byte("-----BEGIN X509 CRL-----\nAA==\n-----END X509 CRL-----\n"), {}} {
		os.WriteFile(a.path("crl.pem"), text, 0o600)
		if err, _ := shake(t, server.Server(), mustOpen(t, a.end("ct-1")).Client()); err == nil || Why(err) != Revoked {
			t.Errorf("with %d bytes of something else: %v", len(text), err)
		}
		if len(server.Status().Problems) == 0 {
			t.Error("no problem is shown")
		}
	}
}

func TestErrorsOfFiles(t *testing.T) {
	a := newAuthority(t, "a")
	a.issue("gateway", newKey(t))
	a.issue("other", newKey(t))
	os.WriteFile(a.path("empty"), nil, 0o600)
	for name, c := range map[string]Config{
		"key is missing":        {Certificate: a.path("gateway.pem")},
		"no such file":          {Certificate: a.path("absent.pem"), Key: a.path("gateway.key")},
		"private key does not":  {Certificate: a.path("gateway.pem"), Key: a.path("other.key")},
		"holds no certificate":  {Authorities: a.path("empty")},
		"needs the authorities": {CRL: a.path("crl.pem")},
		"not a regular file":    {Authorities: a.dir},
		"X509 CRL":              {Authorities: a.path("ca.pem"), CRL: a.path("ca.pem")},
		"both are PEM files":    {Certificate: a.path("gateway.key"), Key: a.path("gateway.key")},
	} {
		_, err := Open(c)
		if name == "key is missing" {
			name = "belong together"
		}
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, want …%s…", err, name)
		}
	}
}

func TestWhy(t *testing.T) {
	for want, err := range map[string]error{
		Closed: io.ErrUnexpectedEOF, Timeout: os.ErrDeadlineExceeded, Other: errors.New("something"), RefusedByPeer: tls.AlertError(42),
	} {
		if got := Why(err); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}

func FuzzTrust(f *testing.F) {
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"), []byte("-----BEGIN X509 CRL-----\nAA==\n-----END X509 CRL-----\n"))
	f.Fuzz(func(t *testing.T, authorities, lists []byte) {
		trusted, err := parseTrust([][]byte{authorities, lists})
		if err == nil && (len(trusted.authorities) == 0 || len(trusted.lists) == 0) {
			t.Error("nothing was read and nothing is wrong")
		}
	})
}
