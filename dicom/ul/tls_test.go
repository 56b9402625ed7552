package ul

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"testing"
	"time"
)

// certificate makes a certificate for 127.0.0.1 and the pool that trusts it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func TestAssociationOverTLS(t *testing.T) {
	noLeaks(t)
	cert, pool := certificate(t)
	server := &tls.Config{Certificates: []tls.Certificate{cert}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12}
	address := serve(t, func(nc net.Conn) {
		i, err := Receive(context.Background(), tls.Server(nc, server), quick)
		if err != nil {
			t.Error(err)
			return
		}
		if state, ok := i.TLS(); !ok || len(state.PeerCertificates) != 1 {
			t.Errorf("TLS %v, %d certificates", ok, len(state.PeerCertificates))
		}
		a, err := i.Accept(i.Request.Respond(acceptAll))
		if err != nil {
			t.Error(err)
			return
		}
		defer a.Close()
		if data, err := readAll(a); err != io.EOF || len(data) != 7+1<<20 {
			t.Errorf("%d bytes, %v", len(data), err)
		}
	})
	a, err := Dial(t.Context(), address, &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{cert}}, testRequest, quick)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if _, err := a.WriteMessage(1, []byte("command"), io.LimitReader(zeros{}, 1<<20)); err != nil {
		t.Error(err)
	}
	if err := a.Release(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestPlainPeerOnTLSPort(t *testing.T) {
	noLeaks(t)
	cert, _ := certificate(t)
	for name, sent := range map[string][]byte{"A-ASSOCIATE-RQ": vector(t, rqVector), "nothing": nil} {
		peer, nc := connected(t)
		peer.send(sent)
		_, err := Receive(t.Context(), tls.Server(nc, &tls.Config{Certificates: []tls.Certificate{cert}}), Limits{ARTIM: 100 * time.Millisecond})
		if err == nil || name == "nothing" && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
		peer.Close()
	}
}

func TestUnknownCertificateIsNotTrusted(t *testing.T) {
	noLeaks(t)
	cert, _ := certificate(t)
	address := serve(t, func(nc net.Conn) {
		if _, err := Receive(context.Background(), tls.Server(nc, &tls.Config{Certificates: []tls.Certificate{cert}}), quick); err == nil {
			t.Error("received a request")
		}
	})
	if _, err := Dial(t.Context(), address, &tls.Config{}, testRequest, quick); err == nil {
		t.Error("established")
	}
}
