package interop

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"cordon/dicom/secure"
	"cordon/interop/ports"
)

// get asks for a page with a TLS configuration, and returns the status and the body, or why there is none.
func get(t *testing.T, address string, c *tls.Config) (status int, text string) {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: c}
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport, Timeout: 30 * time.Second}
	rsp, err := client.Get(address)
	if err != nil {
		return 0, err.Error()
	}
	defer rsp.Body.Close()
	body, err := io.ReadAll(rsp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return rsp.StatusCode, string(body)
}

// TestDevicesOverDICOMwebAreToldByCertificate: over TLS a device is who its certificate says, may do what its list says,
// and is nobody without one, or with one that was revoked while Cordon ran.
func TestDevicesOverDICOMwebAreToldByCertificate(t *testing.T) {
	archive, address := startWebArchive(t, nil), fmt.Sprintf("127.0.0.1:%d", ports.Free(t))
	h := newHospital(t, nil, "", "")
	may, not := h.enrol(t, "ai"), h.enrol(t, "sensor")
	h.enrol(t, "stranger")
	write(t, h.config, fmt.Sprintf(`data: %s
gateway:
  listen: '%s'
  unknown_devices: refuse
  web:
    listen: '%s'
    tls: {certificate: '%s', key: '%s', clients: '%s', crl: '%s'}
console: {listen: '%s'}
archives: [{name: pacs, ae_title: %s, address: '%s', dicomweb: '%s/dicom-web'}]
devices:
  - {name: probe, ae_title: PROBE, may: [echo]}
  - {name: ai, certificate: '%s', may: [query]}
  - {name: sensor, certificate: '%s', may: [store]}
`, h.Dir, h.Address, address, h.ca("gateway.pem"), h.ca("gateway.key"), h.ca("ca.pem"), h.ca("crl.pem"), strings.TrimPrefix(h.Console, "http://"),
		archive.AETitle, archive.Address, archive.HTTP, may, not))
	h.start(t)
	studies := "https://" + address + "/dicom-web/studies"
	for _, c := range []struct {
		name   string
		status int
		says   string
	}{
		{"ai", http.StatusOK, "[]"},
		{"sensor", http.StatusForbidden, "service not permitted"},
		{"stranger", http.StatusForbidden, "unknown device"},
		{"", 0, "certificate required"},
	} {
		if status, text := get(t, studies, h.client(t, c.name)); status != c.status || !strings.Contains(text, c.says) {
			t.Errorf("%q: %d %q, want %d %q", c.name, status, text, c.status, c.says)
		}
	}
	if status, _ := get(t, "http://"+address+"/dicom-web/studies", nil); status == http.StatusOK {
		t.Error("plain HTTP is answered on the TLS port")
	}
	old := h.client(t, "ai")
	old.MaxVersion, old.MinVersion = tls.VersionTLS11, tls.VersionTLS11
	if status, text := get(t, studies, old); status != 0 || !strings.Contains(text, "version") {
		t.Errorf("TLS 1.1: %d %s", status, text)
	}
	h.pki(t, "revoke", "ai", "--reason", "sold")
	await(t, "the revocation", func() bool {
		_, text := get(t, studies, h.client(t, "ai"))
		return strings.Contains(text, "certificate")
	})
	items := 0
	var s struct {
		Certificates struct{ Items []secure.Item }
	}
	if err := json.Unmarshal([]byte(h.cli(t, "status", "--json").out), &s); err != nil {
		t.Fatal(err)
	}
	for _, i := range s.Certificates.Items {
		if i.Endpoint == "gateway.web.tls" {
			items++
		}
	}
	if items < 2 {
		t.Errorf("status shows %+v", s.Certificates)
	}
}

// TestDICOMwebIsLearned: who asks over the web and is nobody yet is listed, and once it is approved may do what it did,
// and no more.
func TestDICOMwebIsLearned(t *testing.T) {
	archive := startWebArchive(t, nil)
	c, base := startWebCordon(t, archive, ports.Free(t))
	if status, text := ask(t, "GET", base+"/studies", "", "", nil); status != http.StatusOK {
		t.Fatalf("%d %s", status, text)
	}
	await(t, "the peer in the register", func() bool {
		return strings.Contains(c.cli(t, "device", "list", "--json").out, `"name":"web","state":"learned"`)
	})
	said := c.cli(t, "device", "approve", "web", "--as", "A. Able", "--reason", "the reading room", "--json")
	if said.code != 0 || !strings.Contains(said.out, `"query"`) || strings.Contains(said.out, `"retrieve"`) {
		t.Fatalf("approved: %d %s%s", said.code, said.out, said.err)
	}
	if status, text := ask(t, "GET", base+"/studies", "", "", nil); status != http.StatusOK {
		t.Errorf("what it did: %d %s", status, text)
	}
	if status, text := ask(t, "GET", base+"/studies/1.2.3/metadata", "", "", nil); status != http.StatusForbidden || !strings.Contains(text, "not permitted") {
		t.Errorf("what it did not: %d %s", status, text)
	}
	if said := c.cli(t, "device", "deny", "web", "--as", "A. Able", "--reason", "moved out"); said.code != 0 {
		t.Fatal(said.err)
	}
	if status, text := ask(t, "GET", base+"/studies", "", "", nil); status != http.StatusForbidden || !strings.Contains(text, "denied") {
		t.Errorf("once it is denied: %d %s", status, text)
	}
}
