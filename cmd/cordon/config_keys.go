package main

import (
	"net"
	"net/netip"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"cordon/dicom"
	"cordon/engine"
	"cordon/policy"
)

// config reads the whole document: what each key means, in the order of the
// documentation.
func (d *document) config(n ast.Node, c *Config) {
	d.mapping(n, keys{
		"site":        d.text(&c.Site),
		"data":        d.path(&c.Data),
		"gateway":     func(n ast.Node) { d.gateway(n, &c.Gateway) },
		"archives":    func(n ast.Node) { d.archives(n, c) },
		"devices":     func(n ast.Node) { d.devices(n, c) },
		"policy":      func(n ast.Node) { d.policy(n, &c.Rules) },
		"engines":     func(n ast.Node) { d.engines(n, &c.Engines) },
		"console":     func(n ast.Node) { d.console(n, &c.Console) },
		"disk":        func(n ast.Node) { d.disk(n, &c.Disk) },
		"audit":       func(n ast.Node) { d.audit(n, &c.Audit) },
		"ledger":      func(n ast.Node) { d.ledger(n, &c.Ledger) },
		"plan":        func(n ast.Node) { d.plan(n, &c.Plan) },
		"alarms":      func(n ast.Node) { d.alarms(n, &c.Alarms) },
		"containment": func(n ast.Node) { d.containment(n, &c.Containment) },
		"deadman":     func(n ast.Node) { c.Deadman = &DeadmanConfig{After: defaultDeadmanAfter}; d.deadman(n, c.Deadman) },
		"network":     func(n ast.Node) { d.network(n, &c.Network) },
		"witness":     func(n ast.Node) { c.Witness = &WitnessConfig{}; d.witness(n, c.Witness) },
	})
	d.whole(c)
}

func (d *document) gateway(n ast.Node, g *GatewayConfig) {
	d.mapping(n, keys{
		"listen":           d.listen(&g.Listen),
		"ae_title":         d.aeTitle(&g.AETitle),
		"unknown_devices":  d.unknownDevices(&g.Unknown),
		"max_associations": d.number(&g.MaxAssociations, 1, 10000),
		"max_per_address":  d.number(&g.MaxPerAddress, 1, 10000),
		"max_per_device":   d.number(&g.MaxPerDevice, 1, 10000),
		"connection_rate":  d.number(&g.ConnectionRate, 1, 1000),
		"tls": func(n ast.Node) {
			g.TLS = &TLSConfig{}
			d.tls(n, g.TLS, keys{
				"listen":    d.listen(&g.TLS.Listen),
				"clients":   d.path(&g.TLS.Clients),
				"crl":       d.path(&g.TLS.CRL),
				"stale_crl": d.staleCRL(&g.TLS.RefuseStale),
			}, "listen")
		},
		"commitment": func(n ast.Node) { d.commitment(n, &g.Commitment) },
		"query":      func(n ast.Node) { d.query(n, &g.Query) },
		"web":        func(n ast.Node) { d.web(n, g) },
		"transparent": func(n ast.Node) {
			g.Transparent = &TransparentConfig{Port: defaultTransparentPort}
			d.transparent(n, g.Transparent)
		},
	})
}

// tls reads a certificate and its key, and more.
func (d *document) tls(n ast.Node, t *TLSConfig, more keys, needed ...string) {
	more["certificate"] = d.path(&t.Certificate)
	more["key"] = d.path(&t.Key)
	d.mapping(n, more)
	d.need(n, append(needed, "certificate", "key")...)
}

func (d *document) archives(n ast.Node, c *Config) {
	d.sequence(n, func(_ int, n ast.Node) {
		a := ArchiveConfig{Reuse: true}
		d.mapping(n, keys{
			"name":      d.name(&a.Name),
			"ae_title":  d.aeTitle(&a.AETitle),
			"address":   d.address(&a.Address),
			"addresses": d.list("address", d.prefix(&a.Addresses)),
			"services":  func(n ast.Node) { d.services(n, &a.Services) },
			"tls":       func(n ast.Node) { d.archiveTLS(n, &a) },

			"delivery":     d.delivery(&a.Delivery),
			"associations": d.number(&a.Associations, 1, 32),
			"probe":        d.duration(&a.Probe, time.Second, time.Hour),
			"reuse":        d.yes(&a.Reuse),
			"dicomweb":     func(n ast.Node) { d.dicomweb(n, &a) },
		})
		d.needArchive(n, &a)
		c.Archives = append(c.Archives, a)
	})
}

func (d *document) policy(n ast.Node, r *policy.Rules) {
	d.mapping(n, keys{
		"malicious":   d.action(&r.Malicious, policy.Hold, policy.Refuse),
		"suspicious":  d.action(&r.Suspicious, policy.Hold, policy.Deliver, policy.Refuse),
		"unscanned":   d.action(&r.Unscanned, policy.Deliver, policy.Hold),
		"unparseable": d.action(&r.Unparseable, policy.Hold, policy.Deliver),
	})
}

func (d *document) engines(n ast.Node, e *EnginesConfig) {
	d.mapping(n, keys{
		"clamd": func(n ast.Node) {
			e.Clamd = &engine.ClamdConfig{}
			d.mapping(n, keys{
				"address":        d.valid(&e.Clamd.Address, func() error { return e.Clamd.Validate() }),
				"timeout":        d.duration(&e.Clamd.Timeout, time.Second, 5*time.Minute),
				"max_stream_mib": d.mebibytes(&e.Clamd.MaxStream, 2000),
				"connections":    d.number(&e.Clamd.Connections, 1, 100),
			})
			d.need(n, "address")
		},
		"icap": func(n ast.Node) {
			e.ICAP = &engine.ICAPConfig{}
			d.mapping(n, keys{
				"url":          d.valid(&e.ICAP.URL, func() error { return e.ICAP.Validate() }),
				"timeout":      d.duration(&e.ICAP.Timeout, time.Second, 5*time.Minute),
				"max_body_mib": d.mebibytes(&e.ICAP.MaxBody, 2000),
				"connections":  d.number(&e.ICAP.Connections, 1, 100),
			})
			d.need(n, "url")
		},
		"pixel_data":       d.setting("engines.pixel_data"),
		"deadline":         d.setting("engines.deadline"),
		"signature_age":    d.setting("engines.signature_age"),
		"rescan_quota_mib": d.mebibytes(&e.Rescan, 1<<20),
		"hashes":           d.path(&e.Hashes),
	})
}

func (d *document) console(n ast.Node, c *ConsoleConfig) {
	d.mapping(n, keys{
		"listen": d.listen(&c.Listen),
		"tls": func(n ast.Node) {
			c.TLS = &TLSConfig{}
			d.tls(n, c.TLS, keys{})
		},
		"url":      d.consoleURL(&c.URL),
		"sessions": func(n ast.Node) { d.sessions(n, &c.Sessions) },
		"oidc":     func(n ast.Node) { c.OIDC = &OIDCConfig{}; d.oidc(n, c.OIDC) },
		"metrics":  d.list("address", d.prefix(&c.Metrics)),
	})
}

// need notes keys that the mapping just read does not have.
func (d *document) need(n ast.Node, wanted ...string) {
	if _, scalar := n.(ast.ScalarNode); scalar {
		return // noted already
	}
	at := strings.TrimPrefix(strings.Join(d.at, ""), ".")
	for _, k := range wanted {
		if _, ok := d.places[at+"."+k]; !ok {
			d.wrong(n, "%s is missing; add a line \"%s: …\"", k, k)
		}
	}
}

// The readers of single values follow. Each notes what is wrong and what to
// write instead, and leaves its target alone then.

func (d *document) text(to *string) func(ast.Node) {
	return func(n ast.Node) {
		if s, ok := d.scalar(n); ok {
			*to = s
		}
	}
}

// path reads a file name, relative to the configuration file.
func (d *document) path(to *string) func(ast.Node) {
	return func(n ast.Node) {
		s, ok := d.scalar(n)
		switch {
		case !ok:
		case s == "":
			d.wrong(n, "empty; write a path")
		case filepath.IsAbs(s):
			*to = filepath.Clean(s)
		default:
			*to = filepath.Join(d.dir, s)
		}
	}
}

// nameText is what a person can type on a command line without quotes.
var nameText = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

func (d *document) name(to *string) func(ast.Node) {
	return func(n ast.Node) {
		s, ok := d.scalar(n)
		switch {
		case !ok:
		case !nameText.MatchString(s):
			d.wrong(n, "%q: a name is 1 to 63 letters, digits, '.', '_' or '-', and begins with a letter or digit", s)
		default:
			*to = s
		}
	}
}

func (d *document) aeTitle(to *dicom.AETitle) func(ast.Node) {
	return func(n ast.Node) {
		s, ok := d.scalar(n)
		if !ok {
			return
		}
		title, err := dicom.ParseAETitle(s)
		if err != nil {
			d.wrong(n, "%v; write 1 to 16 printable ASCII characters without backslash, as configured at the peer", err)
			return
		}
		*to = title
	}
}

// listen reads an address of this machine; no host means all of them.
func (d *document) listen(to *string) func(ast.Node) {
	return func(n ast.Node) {
		s, ok := d.scalar(n)
		if !ok {
			return
		}
		if why := badAddress(s, true); why != "" {
			d.wrong(n, "%q: %s; write HOST:PORT, such as 127.0.0.1:11112, or :11112 for every address of this machine", s, why)
			return
		}
		*to = s
	}
}

// address reads the address of a peer.
func (d *document) address(to *string) func(ast.Node) {
	return func(n ast.Node) {
		s, ok := d.scalar(n)
		if !ok {
			return
		}
		if why := badAddress(s, false); why != "" {
			d.wrong(n, "%q: %s; write HOST:PORT, such as 10.0.0.5:104 or [fd00::5]:104", s, why)
			return
		}
		*to = s
	}
}

var hostText = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,252}[A-Za-z0-9])?\.?$`)

// badAddress says what is wrong with a host:port, or "". Here, an own address,
// may have no host, and port 0 means any free port.
func badAddress(s string, here bool) string {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return "not a host and a port"
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 && !here {
		return "port " + strconv.Quote(port) + " is not a number from 1 to 65535"
	}
	_, notIP := netip.ParseAddr(host)
	switch {
	case host == "" && !here:
		return "no host"
	case host != "" && notIP != nil && !hostText.MatchString(host):
		return "host " + strconv.Quote(host) + " is neither an address nor a name"
	}
	return ""
}

// prefix reads a network, or one address.
func (d *document) prefix(to *[]netip.Prefix) func(ast.Node) {
	return func(n ast.Node) {
		s, ok := d.scalar(n)
		if !ok {
			return
		}
		if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" {
			s = netip.PrefixFrom(addr, addr.BitLen()).String()
		}
		p, err := netip.ParsePrefix(s)
		switch {
		case err != nil:
			d.wrong(n, "%q is not a network; write ADDRESS/BITS, such as 10.1.2.3/32 for one device or 10.1.2.0/24 for a network", s)
		case p.Addr().Is4In6():
			d.wrong(n, "%q is IPv4 written as IPv6; write %s", s, p.Addr().Unmap())
		case p != p.Masked():
			d.wrong(n, "%q has bits after the first %d; write %s for the network or %s for the one device", s, p.Bits(), p.Masked(), p.Addr())
		default:
			*to = append(*to, p)
		}
	}
}

func (d *document) unknownDevices(to *policy.Unknown) func(ast.Node) {
	return func(n ast.Node) {
		if s, ok := d.scalar(n); ok && d.word(n, s, "learn", "shadow", "refuse") {
			*to = map[string]policy.Unknown{"learn": policy.LearnUnknown, "shadow": policy.ShadowUnknown, "refuse": policy.RefuseUnknown}[s]
		}
	}
}

func (d *document) mode(monitor *bool) func(ast.Node) {
	return func(n ast.Node) {
		if s, ok := d.scalar(n); ok && d.word(n, s, "enforce", "monitor") {
			*monitor = s == "monitor"
		}
	}
}

func (d *document) action(to *policy.Action, allowed ...policy.Action) func(ast.Node) {
	return func(n ast.Node) {
		var words []string
		for _, a := range allowed {
			words = append(words, a.String())
		}
		s, ok := d.scalar(n)
		if !ok || !d.word(n, s, words...) {
			return
		}
		for _, a := range allowed {
			if a.String() == s {
				*to = a
			}
		}
	}
}

// word notes a problem unless s is one of the words.
func (d *document) word(n ast.Node, s string, words ...string) bool {
	for _, w := range words {
		if s == w {
			return true
		}
	}
	d.wrong(n, "%q is not known here; write %s", s, strings.Join(words, " or "))
	return false
}

// yes reads true or false.
func (d *document) yes(to *bool) func(ast.Node) {
	return func(n ast.Node) {
		if s, ok := d.scalar(n); ok && d.word(n, s, "true", "false") {
			*to = s == "true"
		}
	}
}

// valid reads a text that its owner judges.
func (d *document) valid(to *string, judge func() error) func(ast.Node) {
	return func(n ast.Node) {
		s, ok := d.scalar(n)
		if !ok {
			return
		}
		*to = s
		if err := judge(); err != nil {
			d.wrong(n, "%v", err)
		}
	}
}

// duration reads a time such as 30s or 2m.
func (d *document) duration(to *time.Duration, low, high time.Duration) func(ast.Node) {
	return func(n ast.Node) {
		s, ok := d.scalar(n)
		if !ok {
			return
		}
		v, err := time.ParseDuration(s)
		if err != nil || v < low || v > high {
			d.wrong(n, "%q is not a time from %v to %v; write it as 30s or 2m", s, low, high)
			return
		}
		*to = v
	}
}

// mebibytes reads a size of at most so many.
func (d *document) mebibytes(to *int64, most int) func(ast.Node) {
	return func(n ast.Node) {
		var mib int
		d.number(&mib, 1, most)(n)
		*to = int64(mib) << 20
	}
}

func (d *document) number(to *int, low, high int) func(ast.Node) {
	return func(n ast.Node) {
		s, ok := d.scalar(n)
		if !ok {
			return
		}
		v, err := strconv.Atoi(s)
		if err != nil || v < low || v > high {
			d.wrong(n, "%q is not a number from %d to %d", s, low, high)
			return
		}
		*to = v
	}
}
