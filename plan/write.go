package plan

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"text/tabwriter"
	"time"
)

// Text writes the plan for people. It is the same for the same plan, a line for each
// rule, so that two can be compared.
func (p Plan) Text(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintf(t, "plan %s: %d rules, %d unused, %d that would break\n\n", p.Digest, len(p.Rules), len(p.Unused), len(p.Breaks))
	fmt.Fprint(t, "ZONE\tNETWORKS\t\n")
	for _, z := range p.Zones {
		says := ""
		if z.Closed {
			says = "closed without a ticket"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", z.Name, list(z.Networks), says)
	}
	fmt.Fprint(t, "\nRULE\tZONE\tDEVICE\tFROM\tTO\tWHAT\tPURPOSE\tLAST SEEN\tWHY\n")
	for _, r := range p.Rules {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, dash(r.Zone), dash(r.Device), list(r.From), list(r.To), Service(r.Protocol, r.Port, r.PortTo), r.Purpose, p.last(r.LastSeen), r.Why)
	}
	if len(p.Unused) > 0 {
		fmt.Fprintf(t, "\nUNUSED (declared, and not seen; consider taking them out)\n")
		for _, r := range p.Unused {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, dash(r.Zone), dash(r.Device), list(r.From), list(r.To), Service(r.Protocol, r.Port, r.PortTo), r.Purpose)
		}
	}
	if len(p.Breaks) > 0 {
		fmt.Fprintf(t, "\nWOULD BREAK (seen, and no rule allows it: declare it with cordon device flows, or find out why it is)\n")
		fmt.Fprint(t, "ZONE\tDEVICE\tFROM\tTO\tWHAT\tTIMES\tLAST SEEN\n")
		for _, b := range p.Breaks {
			to := b.To.String()
			if b.Peer != "" {
				to += " (" + b.Peer + ")"
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%d\t%s\n", dash(b.Zone), dash(b.Device), b.From, to, Service(b.Protocol, b.Port, 0), b.Times, p.last(b.Last))
		}
	}
	for _, n := range p.Notes {
		fmt.Fprintf(t, "\nNote: %s.\n", n)
	}
	return t.Flush()
}

// last writes when something was seen.
func (p Plan) last(at time.Time) string {
	switch {
	case at.IsZero() && p.Watching.IsZero():
		return "not known"
	case at.IsZero():
		return "never since " + p.Watching.UTC().Format(time.DateOnly)
	}
	return at.UTC().Format("2006-01-02 15:04")
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// list writes networks; single addresses without their length.
func list(all []netip.Prefix) string {
	if len(all) == 0 {
		return "anybody"
	}
	var out []string
	for _, p := range all {
		if p.IsSingleIP() {
			out = append(out, p.Addr().String())
		} else {
			out = append(out, p.String())
		}
	}
	return strings.Join(out, ",")
}

// Service writes a protocol and its ports.
func Service(protocol uint8, port, portTo uint16) string {
	name := map[uint8]string{0: "everything", icmp: "icmp", 58: "icmp6", tcp: "tcp", udp: "udp"}[protocol]
	if name == "" {
		name = fmt.Sprintf("protocol %d", protocol)
	}
	switch {
	case port == 0:
		return name
	case portTo > port:
		return fmt.Sprintf("%s %d-%d", name, port, portTo)
	}
	return fmt.Sprintf("%s %d", name, port)
}

// NFT writes the plan as a table of nftables, for a firewall that somebody else
// looks after: nft -f FILE. It is not what Cordon applies, which is in its own table
// already.
func (p Plan) NFT(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# Firewall plan %s. Read it before you load it.\ntable inet cordon_plan {\n", p.Digest)
	for _, v := range []string{"4", "6"} {
		for _, z := range p.Zones {
			if nets := version(z.Networks, v); len(nets) > 0 {
				fmt.Fprintf(&b, "\tset %s_%s {\n\t\ttype ipv%s_addr\n\t\tflags interval\n\t\telements = { %s }\n\t}\n", word(z.Name), v, v, list(nets))
			}
		}
	}
	b.WriteString("\tchain forward {\n\t\ttype filter hook forward priority filter; policy accept;\n")
	p.nftDrop(&b, true)
	b.WriteString("\t\tct state established,related accept\n")
	for _, v := range []string{"4", "6"} {
		for _, r := range p.Rules {
			if line, ok := r.nft(v); ok {
				fmt.Fprintf(&b, "\t\t%s accept comment \"%s %s\"\n", line, r.ID, word(strings.TrimSpace(r.Device+" "+r.Purpose)))
			}
		}
	}
	p.nftDrop(&b, false)
	b.WriteString("\t}\n}\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// nftDrop drops what the zones send and are sent.
func (p Plan) nftDrop(b *strings.Builder, closed bool) {
	for _, v := range []string{"4", "6"} {
		for _, z := range p.Zones {
			if z.Closed == closed && len(version(z.Networks, v)) > 0 {
				fmt.Fprintf(b, "\t\t%s saddr @%s_%s counter drop\n\t\t%s daddr @%s_%s counter drop\n", family(v), word(z.Name), v, family(v), word(z.Name), v)
			}
		}
	}
}

func family(v string) string {
	if v == "4" {
		return "ip"
	}
	return "ip6"
}

func version(all []netip.Prefix, v string) (some []netip.Prefix) {
	for _, p := range all {
		if p.Addr().Is4() == (v == "4") {
			some = append(some, p)
		}
	}
	return some
}

// word is a text as nft takes it for a name.
func word(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, s)
}

// nft writes what a rule allows, of one version of IP; not ok where it allows
// nothing of it.
func (r Rule) nft(v string) (string, bool) {
	var parts []string
	for _, end := range []struct {
		name string
		all  []netip.Prefix
	}{{"saddr", r.From}, {"daddr", r.To}} {
		some := version(end.all, v)
		if len(end.all) > 0 && len(some) == 0 {
			return "", false
		}
		if len(some) > 0 {
			parts = append(parts, fmt.Sprintf("%s %s { %s }", family(v), end.name, list(some)))
		}
	}
	if len(parts) == 0 { // of anybody with anybody: said once for each version
		parts = append(parts, "meta nfproto ipv"+v)
	}
	switch {
	case r.Protocol == 0:
	case r.Protocol == icmp && v == "6":
		parts = append(parts, "meta l4proto ipv6-icmp")
	case r.Protocol == icmp:
		parts = append(parts, "meta l4proto icmp")
	case r.Port == 0:
		parts = append(parts, fmt.Sprintf("meta l4proto %d", r.Protocol))
	case r.PortTo > r.Port:
		parts = append(parts, fmt.Sprintf("%s dport %d-%d", Service(r.Protocol, 0, 0), r.Port, r.PortTo))
	default:
		parts = append(parts, fmt.Sprintf("%s dport %d", Service(r.Protocol, 0, 0), r.Port))
	}
	return strings.Join(parts, " "), true
}

// Service says what was opened.
func (b Break) Service() string { return Service(b.Protocol, b.Port, 0) }

// Service says what was opened.
func (h Hit) Service() string { return Service(h.Protocol, h.Port, 0) }

// Service says what may be opened.
func (r Rule) Service() string { return Service(r.Protocol, r.Port, r.PortTo) }

// Who and Whom are the two ends of a rule, as people read them.
func (r Rule) Who() string  { return strings.ReplaceAll(list(r.From), ",", ", ") }
func (r Rule) Whom() string { return strings.ReplaceAll(list(r.To), ",", ", ") }
