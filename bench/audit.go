package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cordon/inspect/compose"
)

const (
	auditImages = 300
	auditRounds = 9
)

// auditing sends images through the gateway with and without audit messages, in
// turn: one study, and, which is the worst case, as many studies as images.
func auditing(ctx context.Context, b *bench) error {
	dir := filepath.Join(b.dir, "repository")
	r, port, err := startRepository(ctx, dir)
	if err != nil {
		return err
	}
	defer r.stop()
	away, err := freePort()
	if err != nil {
		return err
	}
	tls := func(port string) string {
		return fmt.Sprintf("{address: 'tls://127.0.0.1:%s', ca: '%[2]s/ca.pem', certificate: '%[2]s/client.pem', key: '%[2]s/client.key'}", port, dir)
	}
	for _, corpus := range []struct {
		name string
		make func(string) (int64, error)
	}{
		{"one study of CT images", func(dir string) (int64, error) { return makeCTs(dir, auditImages) }},
		{"a study for each small image", func(dir string) (int64, error) { return makeStudies(dir, auditImages) }},
	} {
		files := filepath.Join(b.dir, strings.ReplaceAll(corpus.name, " ", "-"))
		size, err := corpus.make(files)
		if err != nil {
			return err
		}
		loads := []struct {
			name, more string
			costs      []cost
		}{
			{"off", "", nil},
			{"rsyslog over TLS", "audit: {syslog: [" + tls(port) + "]}\n", nil},
			{"rsyslog over TLS, JSON lines", "audit: {syslog: [" + tls(port) + "], ecs: ecs.jsonl}\n", nil},
			{"two repositories, both away", "audit: {syslog: [" + tls(away) + ", {address: 'tls://127.0.0.2:" + away + "'}]}\n", nil},
		}
		for range auditRounds {
			for i, load := range loads {
				took, err := b.throughGateway(ctx, files, load.more)
				if err != nil {
					return fmt.Errorf("audit %s: %w", load.name, err)
				}
				loads[i].costs = append(loads[i].costs, cost{wall: took})
			}
		}
		rows := [][]string{{"audit", "images/s", "MB/s", "on : off"}}
		for _, load := range loads {
			took := median(load.costs).wall
			rows = append(rows, []string{load.name, rate(auditImages, took), megabytes(size, took), ratio(median(loads[0].costs).wall, took)})
		}
		b.table(fmt.Sprintf("audit messages: %d images, %s, tuned sockets, medians of %d runs in turn", auditImages, corpus.name, auditRounds), rows)
	}
	lines, err := os.ReadFile(filepath.Join(dir, "audit.log"))
	if err != nil {
		return err
	}
	if n := strings.Count(string(lines), "</AuditMessage>"); n > 0 {
		fmt.Printf("%d audit messages received by rsyslog\n", n)
		return nil
	}
	return errors.New("rsyslog received nothing")
}

// makeStudies writes n small images, each of a study of its own.
func makeStudies(dir string, n int) (int64, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, err
	}
	var total int64
	for i := range n {
		file := compose.CT(64, 64).File()
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%05d.dcm", i)), file, 0o600); err != nil {
			return 0, err
		}
		total += int64(len(file))
	}
	return total, nil
}

// startRepository runs rsyslog as an audit repository, with certificates on both
// sides in dir.
func startRepository(ctx context.Context, dir string) (*peer, string, error) {
	port, err := freePort()
	if err != nil {
		return nil, "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, "", err
	}
	if err := certify(dir); err != nil {
		return nil, "", err
	}
	config := fmt.Sprintf(`global(workDirectory="%[1]s" maxMessageSize="64k"
  defaultNetstreamDriver="gtls" defaultNetstreamDriverCAFile="%[1]s/ca.pem"
  defaultNetstreamDriverCertFile="%[1]s/server.pem" defaultNetstreamDriverKeyFile="%[1]s/server.key")
module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="x509/certvalid")
ruleset(name="audit") { action(type="omfile" file="%[1]s/audit.log") }
input(type="imtcp" port="%[2]s" address="127.0.0.1" ruleset="audit")
`, dir, port)
	if err := os.WriteFile(filepath.Join(dir, "rsyslog.conf"), []byte(config), 0o600); err != nil {
		return nil, "", err
	}
	p, err := start(dir, nil, "rsyslogd", "-n", "-f", filepath.Join(dir, "rsyslog.conf"), "-i", filepath.Join(dir, "pid"))
	if err != nil {
		return nil, "", err
	}
	err = p.ready(ctx, func() error {
		c, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			c.Close()
		}
		return err
	})
	if err != nil {
		p.stop()
	}
	return p, port, err
}

// certify writes an authority, and certificates of it for a server and a client.
func certify(dir string) error {
	var authority *x509.Certificate
	var signer *ecdsa.PrivateKey
	for i, name := range []string{"ca", "server", "client"} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return err
		}
		c := &x509.Certificate{
			SerialNumber: big.NewInt(int64(i + 1)), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		}
		if authority == nil {
			c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
			authority, signer = c, key
		}
		der, err := x509.CreateCertificate(rand.Reader, c, authority, &key.PublicKey, signer)
		if err != nil {
			return err
		}
		keyDER, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return err
		}
		err = errors.Join(
			os.WriteFile(filepath.Join(dir, name+".pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
			os.WriteFile(filepath.Join(dir, name+".key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600))
		if err != nil {
			return err
		}
	}
	return nil
}
