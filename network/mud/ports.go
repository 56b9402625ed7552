package mud

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"cordon/asset"
)

// columns of a list of ports; the first line names them, in any order.
var columns = []string{"purpose", "direction", "protocol", "port", "to", "note"}

// Ports reads a list of ports: CSV (RFC 4180) whose first line names its columns, of
// which protocol and port are needed.
//
//	purpose,direction,protocol,port,to,note
//	dicom,out,tcp,104,10.1.0.1,to the gateway
//	service,in,tcp,5900-5910,10.9.0.0/24,remote service
//
// direction is out, unless it says in; to is addresses or networks with spaces in
// between, none for anybody; a port may be a range.
func Ports(r io.Reader) ([]asset.Flow, error) {
	c := csv.NewReader(io.LimitReader(r, maxFile))
	c.TrimLeadingSpace = true
	head, err := c.Read()
	if err != nil {
		return nil, fmt.Errorf("list of ports: %w", err)
	}
	at := map[string]int{}
	for i, name := range head {
		name = strings.ToLower(strings.TrimSpace(strings.TrimPrefix(name, "\uFEFF")))
		if !slices.Contains(columns, name) {
			return nil, fmt.Errorf("list of ports: column %.40q is not known; write some of %s", name, strings.Join(columns, ","))
		}
		at[name] = i
	}
	for _, needed := range []string{"protocol", "port"} {
		if _, ok := at[needed]; !ok {
			return nil, fmt.Errorf("list of ports: no column %s", needed)
		}
	}
	var out []asset.Flow
	for {
		row, err := c.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("list of ports: %w", err)
		}
		line, _ := c.FieldPos(0)
		f, err := portFlow(func(name string) string {
			if i, ok := at[name]; ok {
				return strings.TrimSpace(row[i])
			}
			return ""
		})
		if err != nil {
			return nil, fmt.Errorf("list of ports, line %d: %w", line, err)
		}
		if out = append(out, f); len(out) > maxEntries {
			return nil, fmt.Errorf("list of ports: more than %d lines", maxEntries)
		}
	}
}

func portFlow(get func(string) string) (f asset.Flow, err error) {
	f.Protocol, f.Note = strings.ToLower(get("protocol")), get("note")
	if f.Port, f.PortTo, err = portRange(get("port")); err != nil {
		return f, err
	}
	switch d := strings.ToLower(get("direction")); d {
	case "", "out", "outbound":
	case "in", "inbound":
		f.Inbound = true
	default:
		return f, fmt.Errorf("direction %.20q: write in or out", d)
	}
	if f.Purpose = strings.ToLower(get("purpose")); f.Purpose == "" {
		f.Purpose = purpose(f.Protocol, f.Port)
	}
	for _, word := range strings.Fields(get("to")) {
		p, err := network(word)
		if err != nil {
			return f, err
		}
		f.To = append(f.To, p)
	}
	return f, f.Check()
}

func portRange(s string) (low, high uint16, err error) {
	if s == "" || s == "*" || strings.EqualFold(s, "any") {
		return 0, 0, nil
	}
	first, last, isRange := strings.Cut(s, "-")
	if !isRange {
		last = first
	}
	a, err := strconv.ParseUint(strings.TrimSpace(first), 10, 16)
	b, err2 := strconv.ParseUint(strings.TrimSpace(last), 10, 16)
	if err != nil || err2 != nil || a == 0 || b < a {
		return 0, 0, fmt.Errorf("port %.20q: write a number from 1 to 65535, a range such as 5900-5910, or any", s)
	}
	if a == b {
		b = 0
	}
	return uint16(a), uint16(b), nil
}

func network(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, fmt.Errorf("to %.50q: write addresses or networks, such as 10.1.2.3 or 10.1.2.0/24", s)
	}
	return p.Masked(), nil
}
