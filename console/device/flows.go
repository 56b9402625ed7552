package device

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"cordon/asset"
	"cordon/console/answer"
)

// Flows are typed one a line, on the page and in files:
//
//	PURPOSE PROTOCOL [PORT[-PORT]] [ADDRESS,…] [needed] [inbound] [# NOTE]
//
//	dicom tcp 104 10.1.2.3 needed
//	service tcp 443 203.0.113.0/24 inbound # the vendor, by appointment

// typedFlows writes those that people declared as they are typed.
func typedFlows(all []asset.Flow) string {
	var b strings.Builder
	for _, f := range all {
		if f.Source == asset.FromPeople {
			b.WriteString(WriteFlow(f) + "\n")
		}
	}
	return b.String()
}

// WriteFlow writes a flow as it is typed.
func WriteFlow(f asset.Flow) string {
	words := []string{f.Purpose, f.Protocol}
	switch {
	case f.PortTo != 0:
		words = append(words, fmt.Sprintf("%d-%d", f.Port, f.PortTo))
	case f.Port != 0:
		words = append(words, strconv.Itoa(int(f.Port)))
	}
	if len(f.To) > 0 {
		words = append(words, strings.Join(texts(f.To), ","))
	}
	if f.Needed {
		words = append(words, "needed")
	}
	if f.Inbound {
		words = append(words, "inbound")
	}
	if f.Note != "" {
		words = append(words, "#", f.Note)
	}
	return strings.Join(words, " ")
}

// ReadFlows reads flows as they are typed, one a line. An error names the line.
func ReadFlows(text string) (all []asset.Flow, err error) {
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		f, err := readFlow(line)
		if err == nil {
			err = f.Check()
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		all = append(all, f)
	}
	return all, nil
}

func readFlow(line string) (f asset.Flow, err error) {
	line, note, _ := strings.Cut(line, "#")
	f.Note = strings.TrimSpace(note)
	words := strings.Fields(line)
	if len(words) < 2 {
		return f, fmt.Errorf("%w: expected a purpose and a protocol, such as: dicom tcp 104 10.1.2.3 needed", answer.ErrRequest)
	}
	f.Purpose, f.Protocol = words[0], words[1]
	for _, word := range words[2:] {
		switch {
		case word == "needed":
			f.Needed = true
		case word == "inbound":
			f.Inbound = true
		case strings.ContainsAny(word, ".:/"):
			f.To, err = readPrefixes(f.To, word)
		default:
			f.Port, f.PortTo, err = readPorts(word)
		}
		if err != nil {
			return f, err
		}
	}
	return f, nil
}

func readPrefixes(all []netip.Prefix, word string) ([]netip.Prefix, error) {
	for _, text := range strings.Split(word, ",") {
		p, err := netip.ParsePrefix(text)
		if a, single := netip.ParseAddr(text); single == nil {
			p, err = a.Prefix(a.BitLen())
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %.60q: expected an address, or a network such as 10.1.2.0/24", answer.ErrRequest, text)
		}
		all = append(all, p.Masked())
	}
	return all, nil
}

func readPorts(word string) (first, last uint16, err error) {
	a, b, ranged := strings.Cut(word, "-")
	n, err := strconv.ParseUint(a, 10, 16)
	m := uint64(0)
	if err == nil && ranged {
		m, err = strconv.ParseUint(b, 10, 16)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("%w: %.40q: expected a port, a range of ports, an address, needed or inbound", answer.ErrRequest, word)
	}
	return uint16(n), uint16(m), nil
}
