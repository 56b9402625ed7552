package main

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"cordon/dicom/secure"
	"cordon/ledger/atna"
)

// RepositoryConfig is one place that audit messages go to.
type RepositoryConfig struct {
	Network     atna.Network
	Format      atna.Format
	Address     string // host:port, or the path of a file
	CA          string // of tls: PEM file of the authorities of the repository's certificate; "": the system's
	Certificate string // of tls: PEM file to show to it; "": none
	Key         string
	CRL         string // of tls: revocation lists of CA
	ServerName  string // of tls: that the repository's certificate is for; "": the host of its address
	BOM         bool
	Size        int64 // of a file, in bytes
	Keep        int   // older files
}

const (
	ecsSize = 64 << 20 // bytes of one file of JSON lines
	ecsKeep = 10
)

func (d *document) syslog(to *[]RepositoryConfig) func(ast.Node) {
	return func(n ast.Node) {
		d.sequence(n, func(_ int, n ast.Node) {
			r := RepositoryConfig{Format: atna.Syslog}
			d.repository(n, &r, keys{"bom": d.yes(&r.BOM)})
			*to = append(*to, r)
		})
	}
}

// ecs reads where JSON lines go: a file, or a repository.
func (d *document) ecs(to *[]RepositoryConfig) func(ast.Node) {
	return func(n ast.Node) {
		r := RepositoryConfig{Format: atna.ECS, Size: ecsSize, Keep: ecsKeep}
		d.repository(n, &r, keys{
			"file":     func(n ast.Node) { r.Network = atna.File; d.path(&r.Address)(n) },
			"size_mib": d.mebibytes(&r.Size, 1<<10),
			"keep":     d.number(&r.Keep, 0, 1000),
		})
		*to = append(*to, r)
	}
}

// repository reads an address, or a mapping with one. What is no mapping and no
// address is a file, where there may be one.
func (d *document) repository(n ast.Node, r *RepositoryConfig, more keys) {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
	default:
		d.repositoryAddress(r, more["file"])(n)
		return
	}
	own := keys{
		"address":     d.repositoryAddress(r, nil),
		"ca":          d.path(&r.CA),
		"certificate": d.path(&r.Certificate),
		"key":         d.path(&r.Key),
		"crl":         d.path(&r.CRL),
		"server_name": d.host(&r.ServerName),
	}
	for k, read := range more {
		own[k] = read
	}
	d.mapping(n, own)
	switch {
	case r.Address != "":
	case r.Format == atna.ECS:
		d.wrong(n, "file or address is missing; add a line \"file: audit.jsonl\" or \"address: tls://HOST:PORT\"")
	default:
		d.wrong(n, "address is missing; add a line \"address: tls://HOST:PORT\"")
	}
	if r.Network != atna.TLS && r.CA+r.Certificate+r.Key+r.CRL+r.ServerName != "" {
		d.wrong(n, "certificates are for tls:// alone; write the address with it, or take them out")
	}
}

// repositoryAddress reads tls://HOST:PORT or udp://HOST:PORT; file, if there may
// be one, what is neither.
func (d *document) repositoryAddress(r *RepositoryConfig, file func(ast.Node)) func(ast.Node) {
	return func(n ast.Node) {
		s, ok := d.scalar(n)
		if !ok {
			return
		}
		network, address, found := strings.Cut(s, "://")
		why := badAddress(address, false)
		switch {
		case !found && file != nil:
			file(n)
		case !found || network != string(atna.TLS) && network != string(atna.UDP):
			d.wrong(n, "%q: write tls://HOST:PORT, such as tls://audit.example.org:6514, or udp://HOST:514", s)
		case why != "":
			d.wrong(n, "%q: %s; write tls://HOST:PORT, such as tls://audit.example.org:6514", s, why)
		default:
			r.Network, r.Address = atna.Network(network), address
		}
	}
}

// end is our end of TLS with a repository.
func (r RepositoryConfig) end() secure.Config {
	return secure.Config{
		Name: "audit " + r.Address, Certificate: r.Certificate, Key: r.Key, Authorities: r.CA, CRL: r.CRL, ServerName: r.ServerName,
	}
}

// repositories lists every target with its place in the file.
func (a AuditConfig) repositories() (places []string, all []RepositoryConfig) {
	for i, r := range a.Syslog {
		places, all = append(places, fmt.Sprintf("audit.syslog[%d]", i)), append(all, r)
	}
	for _, r := range a.ECS {
		places, all = append(places, "audit.ecs"), append(all, r)
	}
	return places, all
}

// wholeAudit notes a target that is named twice, since both would have one
// cursor.
func (d *document) wholeAudit(c *Config) {
	seen := map[string]int{}
	for i, r := range c.Audit.Syslog {
		name := ""
		if r.Address != "" {
			name = string(r.Network) + "://" + r.Address
		}
		d.once(seen, name, i, fmt.Sprintf("audit.syslog[%d]", i))
	}
}
