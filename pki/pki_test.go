package pki

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"software.sslmate.com/src/go-pkcs12"

	"cordon/dicom/secure"
	"cordon/store"
)

// journal keeps the kinds that were recorded.
type journal struct{ kinds []string }

func (j *journal) Append(_ *store.Tx, kind string, _ any) error {
	j.kinds = append(j.kinds, kind)
	return nil
}

type office struct {
	*PKI
	t       *testing.T
	db      *store.DB
	journal *journal
}

func open(t *testing.T, dir string) *office {
	t.Helper()
	db, err := store.OpenDB(t.Context(), filepath.Join(dir, "cordon.db"), []store.Migrations{Migrations()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	j := &journal{}
	p, err := Open(t.Context(), db, j, filepath.Join(dir, "pki"))
	if err != nil {
		t.Fatal(err)
	}
	return &office{p, t, db, j}
}

// established is an authority with a gateway.
func established(t *testing.T) *office {
	t.Helper()
	o := open(t, t.TempDir())
	if _, err := o.Init(t.Context(), InitRequest{Site: "Test", By: "Ada"}); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Gateway(t.Context(), P256, Request{Hosts: []string{"127.0.0.1", "cordon.example"}, By: "Ada"}); err != nil {
		t.Fatal(err)
	}
	return o
}

func request(t *testing.T, name string) Request {
	t.Helper()
	key, err := NewKey(P256)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := NewRequest(name, key)
	if err != nil {
		t.Fatal(err)
	}
	return Request{Name: name, CSR: csr, By: "Ada"}
}

func (o *office) enrol(name string) Issued {
	o.t.Helper()
	issued, err := o.Enrol(o.t.Context(), request(o.t, name))
	if err != nil {
		o.t.Fatal(err)
	}
	return issued
}

// verify looks a certificate up as a TLS listener with the directory's files would.
func (o *office) verify(i Issued) error {
	o.t.Helper()
	ca, err := os.ReadFile(o.path("ca.pem"))
	if err != nil {
		o.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	if _, err := i.cert.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		return err
	}
	text, err := os.ReadFile(o.path("crl.pem"))
	if err != nil {
		o.t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	crl, err := x509.ParseRevocationList(block.Bytes)
	if err != nil {
		o.t.Fatal(err)
	}
	for _, e := range crl.RevokedCertificateEntries {
		if e.SerialNumber.Cmp(i.cert.SerialNumber) == 0 {
			return errors.New("revoked")
		}
	}
	return nil
}

func TestEnrolRenewRevoke(t *testing.T) {
	o := established(t)
	ctx := t.Context()
	first := o.enrol("ct-1")
	if err := o.verify(first); err != nil {
		t.Fatal(err)
	}
	if days := time.Until(first.NotAfter) / (24 * time.Hour); days < 729 || days > 732 {
		t.Errorf("valid for %d days", days)
	}
	if _, err := o.Enrol(ctx, request(t, "ct-1")); !errors.Is(err, ErrState) || !strings.Contains(err.Error(), "already") {
		t.Errorf("enrolled twice: %v", err)
	}
	if _, err := o.Renew(ctx, request(t, "ct-2")); !errors.Is(err, ErrState) {
		t.Errorf("renewed what was never enrolled: %v", err)
	}
	second, err := o.Renew(ctx, request(t, "ct-1"))
	if err != nil {
		t.Fatal(err)
	}
	if o.verify(first) != nil || o.verify(second) != nil {
		t.Error("after a renewal both are valid")
	}
	revoked, err := o.Revoke(ctx, RevokeRequest{Name: "ct-1", Older: true, By: "Ada", Reason: "renewed"})
	if err != nil || len(revoked) != 1 || revoked[0].Serial != first.Serial {
		t.Fatalf("revoked %+v, %v", revoked, err)
	}
	if o.verify(first) == nil || o.verify(second) != nil {
		t.Error("the older one alone is revoked")
	}
	if _, err := o.Revoke(ctx, RevokeRequest{Name: "ct-1", Fingerprint: second.Fingerprint[:12], By: "Ada", Reason: "stolen"}); err != nil {
		t.Fatal(err)
	}
	if o.verify(second) == nil {
		t.Error("it is revoked")
	}
	for _, again := range []RevokeRequest{{Name: "ct-1", By: "Ada", Reason: "again"}, {Name: "nobody", By: "Ada", Reason: "x"}} {
		if _, err := o.Revoke(ctx, again); !errors.Is(err, ErrState) {
			t.Errorf("%s: %v", again.Name, err)
		}
	}
	o.enrol("ct-1") // anew, once nothing of its is valid
	got := strings.Join(o.journal.kinds, " ")
	want := "pki.authority pki.list_signed pki.enrolled pki.enrolled pki.renewed pki.revoked pki.list_signed pki.revoked pki.list_signed pki.enrolled"
	if got != want {
		t.Errorf("recorded %s\nwant     %s", got, want)
	}
}

func TestRequestsAreChecked(t *testing.T) {
	o := established(t)
	ctx := t.Context()
	good := request(t, "ct-1")
	weak, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	weakCSR, err := NewRequest("ct-1", weak)
	if err != nil {
		t.Fatal(err)
	}
	forged := append([]byte(nil), good.CSR...)
	forged[len(forged)-1] ^= 1
	for name, change := range map[string]func(*Request){
		"who asks":            func(r *Request) { r.By = " " },
		"device's name":       func(r *Request) { r.Name = "../ct" },
		"and not \"gateway\"": func(r *Request) { r.Name = "gateway" },
		"certification":       func(r *Request) { r.CSR = forged },
		"224 bits":            func(r *Request) { r.CSR = weakCSR },
		"1 to 732 days":       func(r *Request) { r.Days = 800 },
		"without a port":      func(r *Request) { r.Hosts = []string{"10.0.0.1:104"} },
		"is every address":    func(r *Request) { r.Hosts = []string{"0.0.0.0"} },
		"control characters":  func(r *Request) { r.By = "A\x1b[2J" },
	} {
		r := good
		change(&r)
		if _, err := o.Enrol(ctx, r); !errors.Is(err, ErrRequest) || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, want …%s…", err, name)
		}
	}
	if _, err := o.Revoke(ctx, RevokeRequest{Name: "gateway", By: "Ada"}); !errors.Is(err, ErrRequest) {
		t.Errorf("revoked without a reason: %v", err)
	}
	if list, err := o.List(ctx, true); err != nil || len(list) != 2 {
		t.Errorf("%d certificates, %v; nothing was to be issued", len(list), err)
	}
}

func TestWithoutAnAuthority(t *testing.T) {
	o := open(t, t.TempDir())
	if _, err := o.Enrol(t.Context(), request(t, "ct-1")); !errors.Is(err, ErrState) || !strings.Contains(err.Error(), "cordon pki init") {
		t.Error(err)
	}
	if _, err := os.Stat(o.dir); err == nil {
		t.Error("a directory was made for nothing")
	}
}

// An authority that is replaced certifies nobody any more, and the new one has a
// key, a list and names of its own.
func TestReplacedAuthority(t *testing.T) {
	o := established(t)
	old := o.enrol("ct-1")
	if _, err := o.Init(t.Context(), InitRequest{By: "Ada"}); !errors.Is(err, ErrState) {
		t.Fatalf("made a second authority: %v", err)
	}
	if _, err := o.Init(t.Context(), InitRequest{By: "Ada", Replace: true, Algorithm: RSA2048, Site: strings.Repeat("x", 100)}); err != nil {
		t.Fatal(err)
	}
	if o.verify(old) == nil {
		t.Error("a certificate of the replaced authority is accepted")
	}
	if again := o.enrol("ct-1"); o.verify(again) != nil {
		t.Error("the new authority's is not")
	}
}

func TestEndedAuthority(t *testing.T) {
	o := established(t)
	if _, err := o.Init(t.Context(), InitRequest{By: "Ada", Replace: true, Years: 1}); err != nil {
		t.Fatal(err)
	}
	issued := o.enrol("ct-1")
	authority, err := o.authority(t.Context())
	if err != nil || issued.NotAfter.After(authority.NotAfter) {
		t.Errorf("valid until %v, the authority until %v, %v", issued.NotAfter, authority.NotAfter, err)
	}
	authority.State = Ended
	r := request(t, "ct-2")
	r.Days = 10
	if _, err := r.template(Device, authority, authority.cert.PublicKey); !errors.Is(err, ErrState) || !strings.Contains(err.Error(), "--replace") {
		t.Errorf("an authority that has ended: %v", err)
	}
}

// Whatever of a change a power failure leaves undone, the next start does.
func TestOpenPutsFilesRight(t *testing.T) {
	dir := t.TempDir()
	o := open(t, dir)
	if _, err := o.Init(t.Context(), InitRequest{By: "Ada"}); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(o.path("crl.pem"))
	if err != nil {
		t.Fatal(err)
	}
	issued := o.enrol("ct-1")
	if _, err := o.Revoke(t.Context(), RevokeRequest{Name: "ct-1", By: "Ada", Reason: "stolen"}); err != nil {
		t.Fatal(err)
	}
	for _, undo := range []func(){
		func() { os.WriteFile(o.path("crl.pem"), before, 0o644) }, // the row was durable, the list was not
		func() { os.Remove(o.path("crl.pem")) },
		func() { os.Remove(o.path("ca.pem")) },
		func() { os.WriteFile(o.path("crl.pem"), []byte("half"), 0o644) },
	} {
		undo()
		p, err := Open(t.Context(), o.db, o.journal, o.dir)
		if err != nil || p.Problem() != "" {
			t.Fatalf("%v, %s", err, p.Problem())
		}
		if o.verify(issued) == nil {
			t.Error("a revoked certificate is not on the list")
		}
	}
	// A key cannot be made up: that is a problem that is told, and stops nothing else.
	authority, err := o.authority(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	os.Remove(o.path("crl.pem"))
	os.Rename(o.keyPath(authority), o.path("away"))
	p, err := Open(t.Context(), o.db, o.journal, o.dir)
	if err != nil || !strings.Contains(p.Problem(), "restore") {
		t.Errorf("%v, problem %q", err, p.Problem())
	}
	if _, err := p.Enrol(t.Context(), request(t, "ct-2")); err == nil {
		t.Error("enrolled without the key")
	}
	os.Rename(o.path("away"), o.keyPath(authority))
	os.Chmod(o.keyPath(authority), 0o644)
	if p, _ = Open(t.Context(), o.db, o.journal, o.dir); !strings.Contains(p.Problem(), "chmod 600") {
		t.Errorf("a key that others can read: %q", p.Problem())
	}
}

func TestListIsSignedAnewWithAHigherNumber(t *testing.T) {
	o := established(t)
	authority, err := o.authority(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	first := o.readList(authority)
	if err := o.SignList(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := o.readList(authority)
	if second.Number.Cmp(first.Number) <= 0 || !second.NextUpdate.After(time.Now().Add(13*24*time.Hour)) {
		t.Errorf("number %v after %v, until %v", second.Number, first.Number, second.NextUpdate)
	}
}

// What is issued works with the TLS listener that takes it, PKCS #12 included.
func TestFilesServeTLS(t *testing.T) {
	o := established(t)
	files := secure.Config{Name: "gateway.tls", Certificate: o.path("gateway.pem"), Key: o.path("gateway.key"), Authorities: o.path("ca.pem"), CRL: o.path("crl.pem")}
	endpoint, err := secure.Open(files)
	if err != nil {
		t.Fatal(err)
	}
	if s := endpoint.Status(); len(s.Problems) != 0 || len(s.Items) != 3 {
		t.Errorf("%+v", s)
	}
	for _, algorithm := range []Algorithm{P256, RSA2048} {
		key, err := NewKey(algorithm)
		if err != nil {
			t.Fatal(err)
		}
		csr, err := NewRequest("ct", key)
		if err != nil {
			t.Fatal(err)
		}
		issued, err := o.Enrol(t.Context(), Request{Name: "ct-" + string(algorithm), CSR: csr, By: "Ada"})
		if err != nil {
			t.Fatal(err)
		}
		keyText, err := KeyPEM(key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tls.X509KeyPair([]byte(issued.PEM), keyText); err != nil {
			t.Error(err)
		}
		for _, legacy := range []bool{false, true} {
			file, err := issued.PKCS12(key, "secret", legacy)
			if err != nil {
				t.Fatal(err)
			}
			_, cert, authorities, err := pkcs12.DecodeChain(file, "secret")
			if err != nil || secure.Fingerprint(cert) != issued.Fingerprint || len(authorities) != 1 {
				t.Errorf("%s, legacy %v: %v", algorithm, legacy, err)
			}
		}
		if _, err := issued.PKCS12(key, "", false); err == nil {
			t.Error("a file without a password was written")
		}
	}
	ending, err := o.Ending(context.Background(), 400*24*time.Hour)
	if err != nil || len(ending) != 1 || ending[0].Kind != Gateway {
		t.Errorf("ending within 400 days: %+v, %v", ending, err)
	}
}
