package ticket

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Request asks for a ticket.
type Request struct {
	Kind        Kind
	Sponsor     string
	Visitor     string // the person and the firm; may be empty
	Purpose     string
	Address     netip.Addr // of the visitor's machine; not valid: the one that MAC has
	MAC         string     // "": the one that Address has, if it is on a segment of this machine
	To          []string   // DEVICE:PORT, DEVICE:PORT/udp, DEVICE:PORT-PORT
	Declaration File       // what its owner declares in writing
	Report      File       // of cordon import or inspect, of its media, as JSON lines
	For         time.Duration
	By, Reason  string // who asks; why, if more is to be said than the purpose
}

// File is a document that comes with a request.
type File struct {
	Name string
	Text []byte
}

// The most that a request may have, in bytes.
const (
	MaxDocument = 8 << 20
	maxText     = 500
	maxTargets  = 20
)

// needsReport says which kinds bring media of their own.
func (k Kind) needsReport() bool { return k != Remote }

// check cleans a request up, and says everything that it lacks.
func (d *Desk) check(ctx context.Context, rq Request) (Ticket, error) {
	t := Ticket{Kind: rq.Kind, Sponsor: words(rq.Sponsor), Visitor: words(rq.Visitor), Purpose: words(rq.Purpose), Reason: words(rq.Reason), By: []string{words(rq.By)}, For: rq.For}
	var lacks []string
	lack := func(missing bool, format string, args ...any) {
		if missing {
			lacks = append(lacks, fmt.Sprintf(format, args...))
		}
	}
	lack(!slices.Contains(Kinds(), rq.Kind), "the kind: one of %v (--kind)", Kinds())
	lack(t.Sponsor == "", "a sponsor: who of this hospital answers for the visitor (--sponsor NAME)")
	lack(t.Purpose == "", "the purpose (--purpose TEXT)")
	lack(t.By[0] == "", "who asks (--as NAME)")
	for _, s := range []string{t.Sponsor, t.Visitor, t.Purpose, t.Reason, t.By[0]} {
		lack(len(s) > maxText || strings.ContainsFunc(s, unicode.IsControl), "texts of at most %d bytes without control characters", maxText)
	}
	most := d.c.longest(rq.Kind)
	lack(rq.For < time.Minute || rq.For > most, "for how long: from 1m to %s (--for 4h)", span(most))
	lack(len(rq.Declaration.Text) == 0, "the declaration of the equipment's owner: what it is, what is on it, who is liable (--declaration FILE)")
	lack(rq.Kind.needsReport() && len(rq.Report.Text) == 0, "the inspection of its media: cordon import --json DIR > report.json (--inspected FILE)")
	lack(len(rq.Declaration.Text) > MaxDocument || len(rq.Report.Text) > MaxDocument, "documents of at most %d MiB", MaxDocument>>20)
	lack(len(rq.To) == 0, "what it may reach (--to DEVICE:PORT)")
	lack(len(rq.To) > maxTargets, "at most %d targets", maxTargets)
	for _, text := range rq.To[:min(len(rq.To), maxTargets)] {
		target, err := d.target(ctx, text)
		lack(err != nil, "%v", err)
		t.To = append(t.To, target)
	}
	lacks = append(lacks, d.machine(ctx, rq, &t)...)
	t.Declaration = rq.Declaration.document()
	if len(rq.Report.Text) > 0 {
		var err error
		t.Inspection, err = d.inspection(ctx, rq.Report)
		lack(err != nil, "%v", err)
	}
	if len(lacks) > 0 {
		return Ticket{}, fmt.Errorf("%w; it lacks: %s", ErrRequest, strings.Join(lacks, "; "))
	}
	return t, nil
}

// machine finds out which machine the ticket is for, and says what is wrong with it.
func (d *Desk) machine(ctx context.Context, rq Request, t *Ticket) (lacks []string) {
	t.Address, t.MAC = rq.Address.Unmap().WithZone(""), ""
	if rq.MAC != "" {
		mac, err := net.ParseMAC(rq.MAC)
		if err != nil || len(mac) != 6 {
			return []string{fmt.Sprintf("a MAC such as 02:00:5e:10:00:01, not %.40q (--mac)", rq.MAC)}
		}
		t.MAC = mac.String()
	}
	if !rq.Address.IsValid() {
		return []string{"the address of the visitor's machine (--address)"}
	}
	has, known := d.p.Link(t.Address)
	t.Linked = known
	switch {
	case t.MAC != "" && known && has != t.MAC:
		lacks = append(lacks, fmt.Sprintf("the right address: %s has %s now, not %s", t.Address, has, t.MAC))
	case t.MAC == "" && known:
		t.MAC = has
	}
	switch whose, err := d.p.Whose(ctx, t.Address); {
	case err != nil:
		lacks = append(lacks, err.Error())
	case whose != "":
		lacks = append(lacks, fmt.Sprintf("an address of its own: %s is %s", t.Address, whose))
	}
	if v := d.c.Visitors; len(v) > 0 && rq.Kind != Remote && !slices.ContainsFunc(v, func(p netip.Prefix) bool { return p.Contains(t.Address) }) {
		lacks = append(lacks, fmt.Sprintf("an address among the visitors' (%v), not %s", v, t.Address))
	}
	if t.Address.IsLoopback() || t.Address.IsMulticast() || t.Address.IsUnspecified() {
		lacks = append(lacks, fmt.Sprintf("the address of one machine, not %s", t.Address))
	}
	return lacks
}

// target reads DEVICE:PORT.
func (d *Desk) target(ctx context.Context, text string) (Target, error) {
	t := Target{Protocol: "tcp"}
	name, ports, ok := strings.Cut(text, ":")
	ports, protocol, given := strings.Cut(ports, "/")
	if given {
		t.Protocol = protocol
	}
	first, last, ranged := strings.Cut(ports, "-")
	port, err := strconv.ParseUint(first, 10, 16)
	to := port
	if ranged && err == nil {
		to, err = strconv.ParseUint(last, 10, 16)
	}
	if !ok || err != nil || port == 0 || to < port || t.Protocol != "tcp" && t.Protocol != "udp" {
		return t, fmt.Errorf("%.80q is not DEVICE:PORT, DEVICE:PORT/udp or DEVICE:PORT-PORT", text)
	}
	place, err := d.p.Lookup(ctx, name)
	if err != nil {
		return t, err
	}
	if len(place.Addresses) == 0 {
		return t, fmt.Errorf("an address of %s: the register has none (devices[].addresses)", name)
	}
	t.Name, t.To, t.Port = name, place.Addresses, uint16(port)
	if ranged {
		t.PortTo = uint16(to)
	}
	return t, nil
}

// document names a file by what is in it.
func (f File) document() Document {
	if len(f.Text) == 0 {
		return Document{}
	}
	sum := sha256.Sum256(f.Text)
	name := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, path.Base(f.Name))
	return Document{Name: name[:min(len(name), maxText)], Bytes: len(f.Text), SHA256: hex.EncodeToString(sum[:])}
}

// words takes out what cannot be seen between them.
func words(s string) string { return strings.Join(strings.Fields(s), " ") }

// span writes a time of hours or days.
func span(d time.Duration) string {
	if d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%dd (%dh)", d/(24*time.Hour), d/time.Hour)
	}
	return d.String()
}

// String writes a target as it is asked for.
func (t Target) String() string {
	s := fmt.Sprintf("%s:%d", t.Name, t.Port)
	if t.PortTo != 0 {
		s += fmt.Sprintf("-%d", t.PortTo)
	}
	if t.Protocol != "tcp" {
		s += "/" + t.Protocol
	}
	return s
}
