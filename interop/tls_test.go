package interop

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/secure"
	"cordon/dicom/ul"
	"cordon/inspect/compose"
	"cordon/interop/ports"
)

// hospital is a Cordon with a certificate authority of its own, and a TLS port.
type hospital struct {
	*cordon
	tls   *peer  // its TLS port
	certs string // folder of the devices' keys and certificates
}

// newHospital makes the authority and starts nothing yet. More is for gateway.tls and for
// the end of the configuration.
func newHospital(t *testing.T, archive *peer, tlsKeys, more string) *hospital {
	t.Helper()
	h := &hospital{cordon: newCordon(t, archive), tls: newPeer(t, cordonTitle), certs: t.TempDir()}
	h.pki(t, "init", "--host", "127.0.0.1")
	text, err := os.ReadFile(h.config)
	if err != nil {
		t.Fatal(err)
	}
	listen := "tls: {listen: '" + h.tls.Address + "', certificate: '" + h.ca("gateway.pem") + "', key: '" + h.ca("gateway.key") +
		"', clients: '" + h.ca("ca.pem") + "', crl: '" + h.ca("crl.pem") + "'" + tlsKeys + "}}"
	write(t, h.config, strings.Replace(string(text), "}", ", "+listen, 1)+more)
	return h
}

// pki runs a command of the authority's.
func (h *hospital) pki(t *testing.T, args ...string) string {
	t.Helper()
	said := h.cli(t, append(append([]string{"pki"}, args...), "--as", "Ada Ashe")...)
	if said.code != 0 {
		t.Fatalf("cordon pki %q: %d: %s", args, said.code, said.err)
	}
	return said.out
}

// enrol makes NAME.key and NAME.pem and returns the fingerprint.
func (h *hospital) enrol(t *testing.T, name string, args ...string) string {
	t.Helper()
	out := h.pki(t, append([]string{"enrol", name, "-o", h.certs}, args...)...)
	_, fingerprint, _ := strings.Cut(out, "fingerprint ")
	return strings.TrimSpace(fingerprint)
}

// ca is a file of the authority's.
func (h *hospital) ca(name string) string { return filepath.Join(h.Dir, "pki", name) }

// show are DCMTK's options to show the certificate of a name and to trust the authority.
func (h *hospital) show(name string) []string {
	return []string{"+tls", filepath.Join(h.certs, name+".key"), filepath.Join(h.certs, name+".pem"), "+cf", h.ca("ca.pem")}
}

// client is a TLS client that shows the certificate of a name; "" shows none.
func (h *hospital) client(t *testing.T, name string) *tls.Config {
	t.Helper()
	c := secure.Config{Authorities: h.ca("ca.pem")}
	if name != "" {
		c.Certificate, c.Key = filepath.Join(h.certs, name+".pem"), filepath.Join(h.certs, name+".key")
	}
	e, err := secure.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return e.Client()
}

// failures lists the tls.failed records, in order.
func (h *hospital) failures(t *testing.T) []map[string]any {
	t.Helper()
	said := h.cli(t, "ledger", "tail", "--json", "-n", "10000")
	var out []map[string]any
	for line := range strings.Lines(said.out) {
		var r struct {
			Kind string
			Body map[string]any
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("cordon ledger tail: %v in %q", err, line)
		}
		if r.Kind == "tls.failed" {
			out = append(out, r.Body)
		}
	}
	return out
}

// awaitFailure waits for one more tls.failed than there were, for one of these reasons.
func (h *hospital) awaitFailure(t *testing.T, before int, why ...string) {
	t.Helper()
	await(t, fmt.Sprintf("tls.failed on the ledger: %q", why), func() bool { return len(h.failures(t)) > before })
	last := h.failures(t)
	if got, _ := last[len(last)-1]["why"].(string); !slices.Contains(why, got) {
		t.Errorf("on the ledger %v, want %q", last[len(last)-1], why)
	}
}

// sign makes NAME.key and NAME.pem, signed by the hospital's authority itself, with what no command would make.
func (h *hospital) sign(t *testing.T, name string, change func(*x509.Certificate)) {
	t.Helper()
	keys, err := filepath.Glob(h.ca("ca-*.key"))
	if err != nil || len(keys) != 1 {
		t.Fatalf("%v, %v", keys, err)
	}
	pair, err := tls.LoadX509KeyPair(h.ca("ca.pem"), keys[0])
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	change(template)
	der, err := x509.CreateCertificate(rand.Reader, template, pair.Leaf, key.Public(), pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, filepath.Join(h.certs, name+".key"), "PRIVATE KEY", keyDER)
	writePEM(t, filepath.Join(h.certs, name+".pem"), "CERTIFICATE", der)
}

// What DCMTK shows decides whether it is served; what fails is on the ledger with its reason, and the next is served.
func TestDCMTKMeetsOurTLS(t *testing.T) {
	h := newHospital(t, nil, "", "")
	h.enrol(t, "ct-1")
	h.enrol(t, "old", "--key", "rsa2048")
	h.enrol(t, "stolen")
	h.pki(t, "revoke", "stolen", "--reason", "stolen")
	h.sign(t, "ended", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	h.sign(t, "servers-only", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	other := newHospital(t, nil, "", "")
	other.enrol(t, "stranger")
	stranger := append(other.show("stranger"), "+cf", h.ca("ca.pem"))
	h.start(t)

	file := filepath.Join(testFiles, "CT_small.dcm")
	for _, name := range []string{"ct-1", "old"} {
		run(t, "echoscu", append(h.show(name), "-aec", cordonTitle, h.tls.Host, h.tls.Port)...)
		run(t, "storescu", append(h.show(name), "-aec", cordonTitle, h.tls.Host, h.tls.Port, file)...)
	}
	if s := h.status(t); s.Objects.Delivered != 2 {
		t.Errorf("%d objects delivered, want 2", s.Objects.Delivered)
	}
	for _, c := range []struct {
		why  string
		args []string
	}{
		{secure.NoCertificate, []string{"+tla", "+cf", h.ca("ca.pem")}},
		{secure.UnknownAuthority, stranger},
		{secure.Expired, h.show("ended")},
		{secure.Revoked, h.show("stolen")},
		{secure.Unfit, h.show("servers-only")},
		{secure.NoTLS, nil},
	} {
		before := len(h.failures(t))
		if out, err := try(t, "echoscu", append(c.args, "-aec", cordonTitle, h.tls.Host, h.tls.Port)...); err == nil {
			t.Errorf("%s: served\n%s", c.why, out)
		}
		h.awaitFailure(t, before, c.why)
		h.alive(t)
	}
	before := len(h.failures(t))
	if out, err := try(t, "echoscu", append(other.show("stranger"), "-aec", cordonTitle, h.tls.Host, h.tls.Port)...); err == nil {
		t.Errorf("DCMTK trusted an authority that it does not know\n%s", out)
	}
	h.awaitFailure(t, before, secure.RefusedByPeer)
	// TLS on the port for plain DICOM is no DICOM: it is hung up on.
	if out, err := try(t, "echoscu", append(h.show("ct-1"), "-aec", cordonTitle, h.Host, h.Port)...); err == nil {
		t.Errorf("TLS on the plain port was served\n%s", out)
	}
	h.alive(t)
}

// The certificate of one device opens no association of another's, and no TLS none where it is required.
func TestCertificateOfAnotherDevice(t *testing.T) {
	h := newHospital(t, nil, "", "")
	fingerprint := h.enrol(t, "ct-1")
	h.enrol(t, "ct-2")
	text, err := os.ReadFile(h.config)
	if err != nil {
		t.Fatal(err)
	}
	write(t, h.config, string(text)+"devices: [{name: ct-1, ae_title: CT1, certificate: "+fingerprint+", tls: required}]\n")
	h.start(t)
	echo := func(port string, args ...string) (string, error) {
		return try(t, "echoscu", append(args, "-v", "-aet", "CT1", "-aec", cordonTitle, h.Host, port)...)
	}
	if out, err := echo(h.tls.Port, h.show("ct-1")...); err != nil {
		t.Errorf("its own: %v\n%s", err, out)
	}
	for what, f := range map[string]func() (string, error){
		"another device's": func() (string, error) { return echo(h.tls.Port, h.show("ct-2")...) },
		"no TLS":           func() (string, error) { return echo(h.Port) },
	} {
		if out, err := f(); err == nil || !strings.Contains(out, "Calling AE Title Not Recognized") {
			t.Errorf("%s: %v\n%s", what, err, out)
		}
	}
	h.alive(t)
}

// Versions and cipher suites as OpenSSL sees them.
func TestOpenSSLMeetsOurVersionsAndSuites(t *testing.T) {
	h := newHospital(t, nil, "", "")
	h.enrol(t, "ct-1")
	h.start(t)
	for _, c := range []struct {
		args  []string
		works string // what s_client prints then; "" for none
		why   string
	}{
		{[]string{"-tls1_3"}, "TLSv1.3", ""},
		{[]string{"-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"}, "ECDHE-ECDSA-AES128-GCM-SHA256", ""},
		{[]string{"-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"}, "ECDHE-ECDSA-AES256-GCM-SHA384", ""},
		{[]string{"-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"}, "", secure.Suites},
		{[]string{"-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"}, "", secure.Suites},
		{[]string{"-tls1_2", "-cipher", "AES128-GCM-SHA256"}, "", secure.Suites},
		{[]string{"-tls1_1", "-cipher", "ALL:@SECLEVEL=0"}, "", secure.Version},
		{[]string{"-tls1", "-cipher", "ALL:@SECLEVEL=0"}, "", secure.Version},
	} {
		before := len(h.failures(t))
		args := append([]string{"s_client", "-connect", h.tls.Address, "-CAfile", h.ca("ca.pem"), "-verify_return_error", "-brief",
			"-cert", filepath.Join(h.certs, "ct-1.pem"), "-key", filepath.Join(h.certs, "ct-1.key")}, c.args...)
		out, err := try(t, "openssl", args...) // standard input is empty: it ends after the handshake
		if c.works != "" && (err != nil || !strings.Contains(out, c.works)) || c.works == "" && err == nil {
			t.Errorf("%q: %v\n%s", c.args, err, out)
		}
		if c.why != "" {
			h.awaitFailure(t, before, c.why)
		}
	}
	h.alive(t)
}

// OpenSSL reads the PKCS #12 files that vendors are given, old ones with its legacy algorithms, and with no other
// password.
func TestOpenSSLReadsOurPKCS12(t *testing.T) {
	h := newHospital(t, nil, "", "")
	for name, c := range map[string]struct{ make, read []string }{
		"modern": {nil, nil},
		"legacy": {[]string{"--legacy", "--key", "rsa2048"}, []string{"-legacy"}},
	} {
		out := h.pki(t, append([]string{"enrol", name, "--p12", "-o", h.certs}, c.make...)...)
		_, password, ok := strings.Cut(out, name+".p12: ")
		if !ok {
			t.Fatalf("no password in %q", out)
		}
		read := append([]string{"pkcs12", "-in", filepath.Join(h.certs, name+".p12"), "-noenc"}, c.read...)
		text := run(t, "openssl", append(read, "-passin", "pass:"+strings.TrimSpace(password))...)
		if strings.Count(text, "BEGIN CERTIFICATE") != 2 || strings.Count(text, "BEGIN PRIVATE KEY") != 1 || !strings.Contains(text, "CN = "+name) {
			t.Errorf("%s:\n%s", name, text)
		}
		if _, err := try(t, "openssl", append(read, "-passin", "pass:another")...); err == nil {
			t.Errorf("%s: opened with another password", name)
		}
	}
}

// A device that makes its own key keeps it: it gives a request and gets its certificate.
func TestDeviceWithAKeyOfItsOwn(t *testing.T) {
	h := newHospital(t, nil, "", "")
	key, csr := filepath.Join(h.certs, "us-9.key"), filepath.Join(h.certs, "us-9.csr")
	run(t, "openssl", "req", "-new", "-newkey", "rsa:2048", "-noenc", "-keyout", key, "-out", csr, "-subj", "/CN=whatever it says of itself")
	h.enrol(t, "us-9", "--csr", csr)
	h.start(t)
	run(t, "echoscu", append(h.show("us-9"), "-aec", cordonTitle, h.tls.Host, h.tls.Port)...)
	if text := run(t, "openssl", "x509", "-noout", "-subject", "-in", filepath.Join(h.certs, "us-9.pem")); !strings.Contains(text, "CN = us-9") {
		t.Errorf("it is for %s", text)
	}
}

// A wrapper for those without TLS: plain in and TLS out, to an archive that asks for our certificate, and TLS in and
// plain out. The bytes are the same.
func TestTLSWrapperBothWays(t *testing.T) {
	file := filepath.Join(testFiles, "CT_small.dcm")
	direct := startStoreSCP(t, "+B")
	run(t, "storescu", "-aec", string(direct.AETitle), direct.Host, direct.Port, file)
	want := storedImages(t, direct.Dir)

	archive := newPeer(t, "STORESCP")
	h := newHospital(t, archive, "", "")
	h.enrol(t, "archive", "--host", "127.0.0.1")
	start(t, archive.Dir, "storescp", append(h.show("archive"), "+B", "-od", archive.Dir, "+crl", h.ca("crl.pem"), archive.Port)...)
	archive.tls = mustClient(t, h.ca("ca.pem"), h.ca("gateway.pem"), h.ca("gateway.key"))
	archive.awaitReady(t)
	towards(t, h, "ca: '"+h.ca("ca.pem")+"', certificate: '"+h.ca("gateway.pem")+"', key: '"+h.ca("gateway.key")+"', crl: '"+h.ca("crl.pem")+"'")
	h.start(t)
	run(t, "storescu", "-aec", cordonTitle, h.Host, h.Port, file)
	compareImages(t, storedImages(t, archive.Dir), want)

	plain := startStoreSCP(t, "+B")
	out := newHospital(t, plain, "", "")
	out.enrol(t, "ct-1")
	out.start(t)
	run(t, "storescu", append(out.show("ct-1"), "-aec", cordonTitle, out.tls.Host, out.tls.Port, file)...)
	compareImages(t, storedImages(t, plain.Dir), want)
}

func mustClient(t *testing.T, ca, cert, key string) *tls.Config {
	t.Helper()
	e, err := secure.Open(secure.Config{Authorities: ca, Certificate: cert, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	return e.Client()
}

// towards gives the archive of a hospital's configuration TLS.
func towards(t *testing.T, h *hospital, keys string) {
	t.Helper()
	text, err := os.ReadFile(h.config)
	if err != nil {
		t.Fatal(err)
	}
	write(t, h.config, strings.Replace(string(text), "}]", ", tls: {"+keys+"}}]", 1))
}

// An archive whose certificate is not to be believed, or which does not believe ours, gets nothing; what was stored
// waits here, and the ledger says why.
func TestArchivesThatAreNotBelieved(t *testing.T) {
	t.Parallel()
	other := newHospital(t, nil, "", "")
	other.enrol(t, "archive", "--host", "127.0.0.1")
	file := filepath.Join(testFiles, "CT_small.dcm")
	for _, c := range []struct {
		name    string
		why     []string
		options func(h *hospital) []string // of storescp
		keys    func(h *hospital) string   // of archives[].tls
	}{
		{"another authority", []string{secure.UnknownAuthority}, func(h *hospital) []string { return append(other.show("archive"), "-ic") }, nil},
		{"expired", []string{secure.Expired}, func(h *hospital) []string { return append(h.show("ended"), "-ic") }, nil},
		{"revoked", []string{secure.Revoked}, func(h *hospital) []string { return append(h.show("stolen"), "-ic") }, nil},
		{"another name", []string{secure.OtherName}, func(h *hospital) []string { return append(h.show("elsewhere"), "-ic") }, nil},
		{"no TLS", []string{secure.NoTLS, secure.Closed}, func(h *hospital) []string { return nil }, nil},
		{"it does not believe ours", []string{secure.RefusedByPeer}, func(h *hospital) []string { return append(h.show("archive"), "-rc") },
			func(h *hospital) string { return "ca: '" + h.ca("ca.pem") + "'" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			archive := newPeer(t, "STORESCP")
			h := newHospital(t, archive, "", "")
			h.enrol(t, "archive", "--host", "127.0.0.1")
			h.enrol(t, "elsewhere", "--host", "pacs.example")
			h.enrol(t, "stolen", "--host", "127.0.0.1")
			h.pki(t, "revoke", "stolen", "--reason", "stolen")
			h.sign(t, "ended", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
			start(t, archive.Dir, "storescp", append(c.options(h), "+B", "-od", archive.Dir, archive.Port)...)
			keys := "ca: '" + h.ca("ca.pem") + "', certificate: '" + h.ca("gateway.pem") + "', key: '" + h.ca("gateway.key") + "', crl: '" + h.ca("crl.pem") + "'"
			if c.keys != nil {
				keys = c.keys(h)
			}
			towards(t, h, keys)
			awaitListening(t, archive.Address)
			h.start(t)
			run(t, "storescu", "-aec", cordonTitle, h.Host, h.Port, file)
			h.awaitFailure(t, 0, c.why...)
			if s := h.status(t); s.Spooled != 1 || s.Level == "well" {
				t.Errorf("status %+v, want one object spooled and somebody told", s)
			}
			if stored := storedImages(t, archive.Dir); len(stored) != 0 {
				t.Errorf("the archive has %d objects", len(stored))
			}
			h.alive(t)
		})
	}
}

// awaitListening returns once somebody listens.
func awaitListening(t *testing.T, address string) {
	t.Helper()
	await(t, "a listener at "+address, func() bool {
		nc, err := net.Dial("tcp", address)
		if err == nil {
			nc.Close()
		}
		return err == nil
	})
}

// Keys are renewed and devices revoked under a running association, which goes on; the next ones see what is new.
func TestRotationUnderARunningAssociation(t *testing.T) {
	h := newHospital(t, nil, "", "")
	h.enrol(t, "ct-1")
	h.enrol(t, "ct-2")
	h.start(t)
	h.tls.tls = h.client(t, "ct-1")
	o := compose.CT(64, 64)
	conn, err := h.tls.dial(t.Context(), ul.ProposedContext{AbstractSyntax: o.SOPClass, TransferSyntaxes: []dicom.UID{o.TransferSyntax}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	store := func() {
		t.Helper()
		o.Instance = compose.NewUID()
		rsp, err := conn.Store(t.Context(), 1, dimse.StoreRequest{SOPClassUID: o.SOPClass, SOPInstanceUID: o.Instance}, bytes.NewReader(o.DataSet()))
		if err != nil || rsp.Status != dimse.Success {
			t.Fatalf("C-STORE: %04X, %v", uint16(rsp.Status), err)
		}
	}
	store()
	before := shownCertificate(t, h)
	h.pki(t, "renew", "gateway", "--host", "127.0.0.1")
	if after := shownCertificate(t, h); bytes.Equal(before, after) {
		t.Error("the old certificate is still shown")
	}
	store()
	h.pki(t, "revoke", "ct-1", "--reason", "sold")
	if out, err := try(t, "echoscu", append(h.show("ct-1"), "-aec", cordonTitle, h.tls.Host, h.tls.Port)...); err == nil {
		t.Errorf("a revoked device is served\n%s", out)
	}
	run(t, "echoscu", append(h.show("ct-2"), "-aec", cordonTitle, h.tls.Host, h.tls.Port)...)
	store()
	write(t, h.ca("gateway.key"), "half") // as if somebody were writing it
	run(t, "echoscu", append(h.show("ct-2"), "-aec", cordonTitle, h.tls.Host, h.tls.Port)...)
	if s := h.status(t); s.Level != "degraded" {
		t.Errorf("level %s with half a key file", s.Level)
	}
	if err := conn.Release(t.Context()); err != nil {
		t.Error(err)
	}
}

// shownCertificate is what Cordon shows to ct-2 now.
func shownCertificate(t *testing.T, h *hospital) []byte {
	t.Helper()
	nc, err := tls.Dial("tcp", h.tls.Address, withName(h.client(t, "ct-2")))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: nc.ConnectionState().PeerCertificates[0].Raw})
}

func withName(c *tls.Config) *tls.Config {
	c.ServerName = "127.0.0.1"
	return c
}

// Orthanc over TLS takes objects and answers queries through Cordon, of a device that asks in the clear and of one that
// uses TLS too.
func TestOrthancOverTLS(t *testing.T) {
	archive := newPeer(t, "ORTHANC")
	h := newHospital(t, archive, "", "")
	h.enrol(t, "archive", "--host", "127.0.0.1")
	h.enrol(t, "ws-1")
	port, err := strconv.Atoi(archive.Port)
	if err != nil {
		t.Fatal(err)
	}
	config, err := json.Marshal(map[string]any{
		"Name": "peer", "StorageDirectory": archive.Dir, "IndexDirectory": archive.Dir, "Plugins": []string{},
		"DicomAet": "ORTHANC", "DicomPort": port, "DicomAlwaysAllowStore": true, "DicomAlwaysAllowFind": true, "DicomCheckCalledAet": false,
		"HttpPort": ports.Free(t), "RemoteAccessAllowed": false, "AuthenticationEnabled": false,
		"DicomTlsEnabled": true, "DicomTlsCertificate": filepath.Join(h.certs, "archive.pem"), "DicomTlsPrivateKey": filepath.Join(h.certs, "archive.key"),
		"DicomTlsTrustedCertificates": h.ca("ca.pem"), "DicomTlsRemoteCertificateRequired": true,
	})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(archive.Dir, "orthanc.json"), string(config))
	start(t, archive.Dir, "Orthanc", filepath.Join(archive.Dir, "orthanc.json"))
	archive.tls = mustClient(t, h.ca("ca.pem"), h.ca("gateway.pem"), h.ca("gateway.key"))
	archive.awaitReady(t)
	towards(t, h, "ca: '"+h.ca("ca.pem")+"', certificate: '"+h.ca("gateway.pem")+"', key: '"+h.ca("gateway.key")+"'")
	h.start(t)
	file := filepath.Join(testFiles, "CT_small.dcm")
	run(t, "storescu", append(h.show("ws-1"), "-aec", cordonTitle, h.tls.Host, h.tls.Port, file)...)
	find := []string{"-v", "-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID", "-k", "PatientID", "-aec", cordonTitle}
	for _, args := range [][]string{
		append(slices.Clone(find), h.Host, h.Port),
		append(append(h.show("ws-1"), find...), h.tls.Host, h.tls.Port),
	} {
		out := run(t, "findscu", args...)
		if strings.Count(out, "(Pending)") != 1 {
			t.Errorf("findscu %q:\n%s", args, out)
		}
	}
}
