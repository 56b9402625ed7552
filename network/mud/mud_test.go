package mud_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smallstep/pkcs7"

	"cordon/asset"
	"cordon/network/mud"
)

func read(t testing.TB) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/us.json")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func prefixes(all ...string) (out []netip.Prefix) {
	for _, s := range all {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

func site() mud.Site {
	return mud.Site{
		Resolve: func(name string) ([]netip.Addr, error) {
			if name != "licence.example.com" {
				return nil, errors.New("no such name")
			}
			return []netip.Addr{netip.MustParseAddr("192.0.2.7")}, nil
		},
		Controllers: map[string][]netip.Prefix{"urn:ietf:params:mud:dns": prefixes("10.1.6.60/32"), "urn:example:service": prefixes("10.9.0.0/24")},
		Mine:        prefixes("10.1.0.1/32"),
		Local:       prefixes("10.0.0.0/8"),
	}
}

func words(fs []asset.Flow) (out []string) {
	for _, f := range fs {
		out = append(out, fmt.Sprintf("%s %v %s %d-%d in %v", f.Purpose, f.To, f.Protocol, f.Port, f.PortTo, f.Inbound))
	}
	return out
}

func TestDescriptionBecomesFlows(t *testing.T) {
	d, err := mud.Parse(read(t))
	if err != nil {
		t.Fatal(err)
	}
	if d.Maker != "Example" || d.Model != "Sonic 5" || d.Valid != 48*time.Hour || d.Updated.Year() != 2026 {
		t.Errorf("%+v", d)
	}
	flows, left := d.Flows(site())
	want := []string{
		"other [192.0.2.7/32] tcp 443-0 in false",
		"dns [10.1.6.60/32] udp 53-0 in false",
		"dicom [10.1.0.1/32] tcp 104-0 in false",
		"other [10.0.0.0/8] tcp 9100-9102 in false",
		"other [10.9.0.0/24] tcp 5900-0 in true",
	}
	if got := words(flows); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if len(left) != 1 || !strings.HasPrefix(left[0], "peers: ") {
		t.Errorf("%q", left)
	}
	for _, f := range flows {
		if err := f.Check(); err != nil {
			t.Error(err)
		}
	}
}

// What a site does not know is left out and said; it never becomes "anybody".
func TestUnknownIsNobody(t *testing.T) {
	d, err := mud.Parse(read(t))
	if err != nil {
		t.Fatal(err)
	}
	flows, left := d.Flows(mud.Site{})
	if len(flows) != 0 || len(left) != 6 {
		t.Errorf("%q, %q", words(flows), left)
	}
}

func TestBadDescriptions(t *testing.T) {
	for _, c := range []struct{ text, says string }{
		{"", "unexpected end"},
		{"{}", "ietf-mud:mud"},
		{`{"ietf-mud:mud":{"mud-version":2}}`, "version 2"},
		{`{"ietf-mud:mud":{"mud-version":1,"from-device-policy":{"access-lists":{"access-list":[{"name":"gone"}]}}}}`, `"gone"`},
		{strings.Repeat("[", 2<<20), "at most"},
	} {
		if _, err := mud.Parse([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%.60s: %v", c.text, err)
		}
	}
}

func TestListOfPorts(t *testing.T) {
	flows, err := mud.Ports(strings.NewReader("protocol,port,direction,to\r\nTCP,5900-5910,in,10.9.0.0/24 10.9.1.1\r\nudp,123,,10.1.6.60\ntcp,any,out,\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"other [10.9.0.0/24 10.9.1.1/32] tcp 5900-5910 in true", "time [10.1.6.60/32] udp 123-0 in false", "other [] tcp 0-0 in false"}
	if got := words(flows); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	for text, says := range map[string]string{
		"":                           "EOF",
		"protocol\ntcp":              "no column port",
		"protocol,port,colour\n":     "colour",
		"protocol,port\ntcp,0":       "line 2",
		"protocol,port\nipx,1":       "protocol",
		"protocol,port,to\ntcp,1,x":  "line 2",
		"protocol,port\ntcp,1\ntcp":  "wrong number of fields",
		"protocol,port\ntcp,9-2":     "range",
		"purpose,protocol,port\na,,": "purpose",
	} {
		if _, err := mud.Ports(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestSignatures(t *testing.T) {
	text, now := read(t), time.Now()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Example MUD"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	signature := func(detached bool) []byte {
		s, err := pkcs7.NewSignedData(text)
		if err != nil {
			t.Fatal(err)
		}
		s.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
		if err := s.AddSigner(certificate, key, pkcs7.SignerInfoConfig{}); err != nil {
			t.Fatal(err)
		}
		if detached {
			s.Detach()
		}
		out, err := s.Finish()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	roots, strangers := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(certificate)
	good := signature(true)
	if signer, err := mud.Verify(text, good, roots, now); err != nil || signer != "CN=Example MUD" {
		t.Errorf("%q, %v", signer, err)
	}
	changed := append(slices.Clone(text), ' ')
	for name, c := range map[string]struct {
		text, signature []byte
		roots           *x509.CertPool
		at              time.Time
	}{
		"another text":         {changed, good, roots, now},
		"nobody's signer":      {text, good, strangers, now},
		"no authorities":       {text, good, nil, now},
		"a certificate of old": {text, good, roots, now.Add(2 * time.Hour)},
		"its own content":      {changed, signature(false), roots, now},
		"cut short":            {text, good[:len(good)/2], roots, now},
		"none":                 {text, nil, roots, now},
	} {
		if _, err := mud.Verify(c.text, c.signature, c.roots, c.at); err == nil {
			t.Errorf("%s is believed", name)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(read(f))
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := mud.Parse(text)
		if err != nil {
			return
		}
		flows, _ := d.Flows(site())
		for _, one := range flows {
			if err := one.Check(); err != nil {
				t.Error(err)
			}
		}
	})
}

func FuzzPorts(f *testing.F) {
	f.Add("protocol,port,direction,to\r\nTCP,5900-5910,in,10.9.0.0/24 10.9.1.1\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		flows, err := mud.Ports(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, one := range flows {
			if err := one.Check(); err != nil {
				t.Error(err)
			}
		}
	})
}
