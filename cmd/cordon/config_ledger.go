package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"cordon/ledger"
)

// LedgerConfig is how long the record of what happened is kept, who vouches for
// it, and what becomes of imaging when it cannot be written.
type LedgerConfig struct {
	Retention time.Duration // how long bodies of records are kept
	GoOn      bool          // imaging goes on while the ledger cannot be written
	Witnesses []LedgerWitness
	Late      time.Duration // a checkpoint that waits longer for a witness is an alarm
}

// LedgerWitness is one that cosigns this ledger's checkpoints.
type LedgerWitness struct {
	URL   string // http or https; or
	Share string // a folder that both can write
	Key   string // verifier key of its cosignatures
	CA    string // PEM file of the authorities that its certificate must come from; "": the system's
}

// WitnessConfig is what this Cordon does for others' ledgers.
type WitnessConfig struct {
	Listen string     // host:port; "": over Share alone
	TLS    *TLSConfig // nil on loopback addresses alone
	Share  string     // folder in which requests are left; "": none
	Logs   []string   // verifier keys of the ledgers
}

const (
	// year is the longest that a year is, so that nothing goes early.
	year = 366 * 24 * time.Hour
	// defaultRetention is HIPAA's six years (45 CFR 164.316(b)(2)(i)).
	defaultRetention = 6 * year
	// defaultLate is how long a witness may be away without an alarm.
	defaultLate = 15 * time.Minute
)

func (d *document) ledger(n ast.Node, l *LedgerConfig) {
	d.mapping(n, keys{
		"retention": d.retention(&l.Retention),
		"full":      d.full(&l.GoOn),
		"witness": func(n ast.Node) {
			d.sequence(n, func(_ int, n ast.Node) {
				w := LedgerWitness{}
				d.mapping(n, keys{
					"url":   d.witnessURL(&w.URL),
					"share": d.path(&w.Share),
					"key":   d.witnessKey(&w.Key),
					"ca":    d.path(&w.CA),
				})
				d.need(n, "key")
				if d.given("url") == d.given("share") {
					d.wrong(n, "a witness has a url, or a share; write one of them")
				}
				l.Witnesses = append(l.Witnesses, w)
			})
		},
		"witness_late": d.duration(&l.Late, time.Minute, 24*time.Hour),
	})
}

func (d *document) witness(n ast.Node, w *WitnessConfig) {
	d.mapping(n, keys{
		"listen": d.listen(&w.Listen),
		"tls": func(n ast.Node) {
			w.TLS = &TLSConfig{}
			d.tls(n, w.TLS, keys{})
		},
		"share": d.path(&w.Share),
		"logs": func(n ast.Node) {
			d.sequence(n, func(_ int, n ast.Node) {
				var key string
				d.valid(&key, func() error {
					if _, err := ledger.OriginOf(key); err != nil {
						return fmt.Errorf("%w; write the ledger's key as cordon ledger key prints it there", err)
					}
					return nil
				})(n)
				w.Logs = append(w.Logs, key)
			})
		},
	})
	d.need(n, "logs")
	if w.Listen == "" && w.Share == "" {
		d.wrong(n, "a witness listens, or looks into a share; write one of them")
	}
}

// given reports whether the mapping being read has a key, whatever its value.
func (d *document) given(key string) bool {
	_, ok := d.places[strings.TrimPrefix(strings.Join(d.at, ""), ".")+"."+key]
	return ok
}

var retentionText = regexp.MustCompile(`^([0-9]{1,4})([dy])$`)

// retention reads a number of days or years, of which a month is the least.
func (d *document) retention(to *time.Duration) func(ast.Node) {
	return func(n ast.Node) {
		s, ok := d.scalar(n)
		if !ok {
			return
		}
		if m := retentionText.FindStringSubmatch(s); m != nil {
			unit := 24 * time.Hour
			if m[2] == "y" {
				unit = year
			}
			count, _ := strconv.Atoi(m[1])
			if age := time.Duration(count) * unit; age >= 30*24*time.Hour && age <= 100*year {
				*to = age
				return
			}
		}
		d.wrong(n, "%q: write how long, from 30d to 100y, such as 6y", s)
	}
}

func (d *document) full(goOn *bool) func(ast.Node) {
	return func(n ast.Node) {
		s, ok := d.scalar(n)
		switch {
		case !ok:
		case s == "go_on":
			*goOn = true
		case s == "stop":
			*goOn = false
		default:
			d.wrong(n, "%q; write stop or go_on", s)
		}
	}
}

func (d *document) witnessURL(to *string) func(ast.Node) {
	return func(n ast.Node) {
		s, ok := d.scalar(n)
		scheme, host, _ := strings.Cut(s, "://")
		switch {
		case !ok:
		case scheme == "https" && host != "", scheme == "http" && loopback(strings.TrimSuffix(host, "/")):
			*to = strings.TrimSuffix(s, "/")
		default:
			d.wrong(n, "%q; write https://HOST:PORT (http:// on a loopback address alone)", s)
		}
	}
}

func (d *document) witnessKey(to *string) func(ast.Node) {
	return d.valid(to, func() error { _, err := ledger.ParseWitnessKey(*to); return err })
}

// wholeWitness lets plain HTTP happen on loopback addresses alone.
func (d *document) wholeWitness(c *Config) {
	if w := c.Witness; w != nil && w.Listen != "" && w.TLS == nil && !loopback(w.Listen) {
		d.wrongAt("witness.listen", "%q can be reached from other machines, and this is plain HTTP; add witness.tls with certificate and key", w.Listen)
	}
}
