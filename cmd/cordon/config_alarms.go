package main

import (
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"cordon/alarm"
	"cordon/ledger/atna"
)

// AlarmsConfig is who is told of alarms outside this machine.
type AlarmsConfig struct {
	Notify    []NotifyConfig
	Heartbeat time.Duration // 0: none
	Beats     []string      // names of Notify
}

// NotifyConfig is one recipient; one of Webhook, Email and Syslog is there.
type NotifyConfig struct {
	Name     string
	Severity alarm.Severity // 0: the default
	Kinds    []string
	After    time.Duration
	Webhook  *WebhookConfig
	Email    *EmailConfig
	Syslog   *RepositoryConfig
}

// WebhookConfig is where messages are posted.
type WebhookConfig struct {
	URL        string
	SecretFile string
	CA         string // PEM file of the authorities of the receiver's certificate; "": the system's
}

// EmailConfig is a mail server, and to whom mail goes.
type EmailConfig struct {
	Server       string // host:port
	Implicit     bool   // TLS from the first byte
	CA           string
	User         string
	PasswordFile string
	From         string
	To           []string
	Pace         time.Duration // between two mails
}

const defaultPace = time.Minute

func (d *document) alarms(n ast.Node, c *AlarmsConfig) {
	d.mapping(n, keys{
		"notify": func(n ast.Node) {
			d.sequence(n, func(_ int, n ast.Node) {
				var r NotifyConfig
				d.notify(n, &r)
				c.Notify = append(c.Notify, r)
			})
		},
		"heartbeat": func(n ast.Node) {
			d.mapping(n, keys{
				"every":  d.duration(&c.Heartbeat, time.Minute, 7*24*time.Hour),
				"notify": d.list("recipient", d.nameTo(&c.Beats)),
			})
			d.need(n, "every", "notify")
		},
	})
}

func (d *document) notify(n ast.Node, r *NotifyConfig) {
	d.mapping(n, keys{
		"name":     d.name(&r.Name),
		"severity": d.alarmSeverity(&r.Severity),
		"kinds":    d.list("kind of alarm", d.alarmKind(&r.Kinds)),
		"after":    d.duration(&r.After, time.Minute, 7*24*time.Hour),
		"webhook":  func(n ast.Node) { r.Webhook = &WebhookConfig{}; d.webhook(n, r.Webhook) },
		"email":    func(n ast.Node) { r.Email = &EmailConfig{Pace: defaultPace}; d.email(n, r.Email) },
		"syslog":   func(n ast.Node) { r.Syslog = &RepositoryConfig{Format: atna.Syslog}; d.repository(n, r.Syslog, nil) },
	})
	d.need(n, "name")
	ways := 0
	for _, has := range []bool{r.Webhook != nil, r.Email != nil, r.Syslog != nil} {
		if has {
			ways++
		}
	}
	if ways != 1 {
		d.wrong(n, "a recipient has one of webhook, email and syslog; write one, and another recipient for another")
	}
}

func (d *document) webhook(n ast.Node, w *WebhookConfig) {
	d.mapping(n, keys{
		"url":         d.webhookURL(&w.URL),
		"secret_file": d.path(&w.SecretFile),
		"ca":          d.path(&w.CA),
	})
	d.need(n, "url", "secret_file")
}

// webhookURL reads an address of HTTPS, or of HTTP on this machine. It may hold a
// secret, so it is not repeated.
func (d *document) webhookURL(to *string) func(ast.Node) {
	return func(n ast.Node) {
		s, ok := d.scalar(n)
		if !ok {
			return
		}
		u, err := url.Parse(s)
		if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Scheme != "https" && !(u.Scheme == "http" && loopback(net.JoinHostPort(u.Hostname(), "1"))) {
			d.wrong(n, "this is no address that messages can be posted to; write https://host.example.org/path (http only on this machine), without a user in it")
			return
		}
		*to = s
	}
}

func (d *document) email(n ast.Node, e *EmailConfig) {
	d.mapping(n, keys{
		"server":        d.address(&e.Server),
		"tls":           d.mailTLS(&e.Implicit),
		"ca":            d.path(&e.CA),
		"user":          d.text(&e.User),
		"password_file": d.path(&e.PasswordFile),
		"from":          d.mailbox(func(s string) { e.From = s }),
		"to":            d.list("mailbox", d.mailbox(func(s string) { e.To = append(e.To, s) })),
		"pace":          d.duration(&e.Pace, time.Second, 24*time.Hour),
	})
	d.need(n, "server", "from", "to")
	if (e.User == "") != (e.PasswordFile == "") {
		d.wrong(n, "user and password_file go together; write both, or neither for a server that asks for none")
	}
}

func (d *document) mailTLS(implicit *bool) func(ast.Node) {
	return func(n ast.Node) {
		if s, ok := d.scalar(n); ok && d.word(n, s, "starttls", "implicit") {
			*implicit = s == "implicit"
		}
	}
}

// mailbox reads one address of mail.
func (d *document) mailbox(take func(string)) func(ast.Node) {
	return func(n ast.Node) {
		s, ok := d.scalar(n)
		if !ok {
			return
		}
		a, err := mail.ParseAddress(s)
		if err != nil || a.Name != "" || a.Address != s {
			d.wrong(n, "%q is no mailbox; write desk@example.org", s)
			return
		}
		take(s)
	}
}

func (d *document) alarmSeverity(to *alarm.Severity) func(ast.Node) {
	return func(n ast.Node) {
		if s, ok := d.scalar(n); ok && d.word(n, s, "info", "warning", "critical") {
			*to, _ = alarm.ParseSeverity(s) // one of these
		}
	}
}

var alarmKindText = regexp.MustCompile(`^[a-z]+(\.([a-z_]+|[A-Z0-9-]+|\*))?$`)

// alarmKind reads a kind of alarm, or what kinds begin with.
func (d *document) alarmKind(to *[]string) func(ast.Node) {
	return func(n ast.Node) {
		s, ok := d.scalar(n)
		if !ok {
			return
		}
		_, known := alarm.Lookup(s)
		first := strings.TrimSuffix(s, ".*")
		known = known || slices.ContainsFunc(alarm.Kinds(), func(k alarm.Kind) bool { return alarm.InKind(k.Name, first) })
		if !known || !alarmKindText.MatchString(s) {
			d.wrong(n, "%q is no kind of alarm; write one of docs/alarms.md, such as archive.away, or what several begin with, such as archive", s)
			return
		}
		*to = append(*to, s)
	}
}

// wholeAlarms makes sure that every name of a recipient is one, and one only.
func (d *document) wholeAlarms(c *Config) {
	seen := map[string]int{}
	for i, r := range c.Alarms.Notify {
		d.once(seen, r.Name, i, fmt.Sprintf("alarms.notify[%d].name", i))
	}
	for _, name := range c.Alarms.Beats {
		if _, ok := seen[name]; !ok {
			d.wrongAt("alarms.heartbeat.notify", "%q is no recipient; write the name of one of alarms.notify", name)
		}
	}
	if len(c.Alarms.Notify) > 0 && !slices.ContainsFunc(c.Alarms.Notify, func(r NotifyConfig) bool { return r.After == 0 }) {
		d.wrongAt("alarms.notify", "every recipient waits for others (after), and nobody is told at once; take after away from one")
	}
}

// ends are our ends of TLS with recipients that have files of their own.
func (c AlarmsConfig) ends() []configEnd {
	var out []configEnd
	for i, r := range c.Notify {
		at := fmt.Sprintf("alarms.notify[%d]", i)
		switch {
		case r.Webhook != nil && r.Webhook.CA != "":
			out = append(out, configEnd{at + ".webhook", noticeEnd(r.Name, r.Webhook.CA)})
		case r.Email != nil && r.Email.CA != "":
			out = append(out, configEnd{at + ".email", noticeEnd(r.Name, r.Email.CA)})
		case r.Syslog != nil && r.Syslog.Network == atna.TLS:
			out = append(out, configEnd{at + ".syslog", r.Syslog.end()})
		}
	}
	return out
}
