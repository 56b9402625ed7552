package web

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// TestCertificatesAreThoseOfTheMoment: the configuration is asked for each
// connection, so that files may change beneath a client.
func TestCertificatesAreThoseOfTheMoment(t *testing.T) {
	archive := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/dicom+json")
		w.Write([]byte("[]"))
	}))
	defer archive.Close()
	trusted := x509.NewCertPool()
	var asked atomic.Int32
	c, err := NewClient(ClientConfig{Base: archive.URL + "/dicom-web", TLS: func() *tls.Config {
		asked.Add(1)
		return &tls.Config{RootCAs: trusted}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ask := func() error {
		rsp, err := c.Do(t.Context(), Request{Resource: Resource{Kind: KindStudies}})
		if err == nil {
			rsp.Body.Close()
		}
		return err
	}
	if err := ask(); err == nil {
		t.Error("an archive whose authority nobody trusts is asked")
	}
	trusted.AddCert(archive.Certificate())
	if err := ask(); err != nil {
		t.Error(err)
	}
	if asked.Load() != 2 {
		t.Errorf("asked %d times", asked.Load())
	}
}
