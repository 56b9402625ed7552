package secure

import (
	"crypto/x509"
	"testing"
	"time"
)

// TestIssuingAuthorityAlone: an authority that another one certified, which is
// not in the file, is enough, with its own list.
func TestIssuingAuthorityAlone(t *testing.T) {
	root, a := newAuthority(t, "root"), newAuthority(t, "issuing")
	a.cert = root.issue("issuing", a.key, func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	})
	a.write("ca.pem", "CERTIFICATE", a.cert.Raw)
	a.issue("gateway", newKey(t))
	a.issue("ct-1", newKey(t))
	a.revoke(time.Hour, a.issue("ct-2", newKey(t)))
	config := a.end("gateway")
	config.CRL, config.RefuseStale = a.path("crl.pem"), true
	gateway := mustOpen(t, config)
	for device, want := range map[string]string{"ct-1": "", "ct-2": Revoked} {
		if err, _ := shake(t, gateway.Server(), mustOpen(t, a.end(device)).Client()); whyOf(err) != want {
			t.Errorf("%s: %v, want %q", device, err, want)
		}
	}
	if s := gateway.Status(); len(s.Problems) > 0 {
		t.Errorf("%q", s.Problems)
	}
}

// TestACertificateNamedLikeItsAuthority is looked up like any other.
func TestACertificateNamedLikeItsAuthority(t *testing.T) {
	a := newAuthority(t, "hospital")
	a.issue("gateway", newKey(t))
	a.revoke(time.Hour, a.issue("hospital", newKey(t)))
	config := a.end("gateway")
	config.CRL = a.path("crl.pem")
	if err, _ := shake(t, mustOpen(t, config).Server(), mustOpen(t, a.end("hospital")).Client()); whyOf(err) != Revoked {
		t.Errorf("got %v", err)
	}
}

// TestTheZeroEndpointTrustsNoPrivateAuthority: where nothing is configured, a peer
// that is known by its certificate still has to come from the system's authorities.
func TestTheZeroEndpointTrustsNoPrivateAuthority(t *testing.T) {
	a := newAuthority(t, "a")
	gateway := Fingerprint(a.issue("gateway", newKey(t)))
	config := a.end("gateway")
	config.Authorities = ""
	if _, err := shake(t, mustOpen(t, config).Server(), (&Endpoint{}).Client(gateway)); whyOf(err) != UnknownAuthority {
		t.Errorf("got %v", err)
	}
}
