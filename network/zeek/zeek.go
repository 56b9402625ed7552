// Package zeek reads Zeek's log of connections: conn.log, as tab-separated values with
// their header, or as JSON, one object a line
// (https://docs.zeek.org/en/master/logs/conn.html).
//
// Ordinary use:
//
//	r := zeek.New(watch, zeek.Config{Path: "/opt/zeek/logs/current/conn.log"})
//	err := r.Run(ctx)                      // follows the file through rotations
//
// Zeek writes a connection when it has ended, so what is found this way is found late.
// One is proven if its history has the whole handshake and no reset of the caller's:
// who sent one may be a host in whose name somebody else called.
package zeek

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"cordon/network"
	"cordon/network/tail"
)

// Config of a Reader.
type Config struct {
	Path  string
	Whole bool // begin with what is in the file
}

// Status is how it stands with a Reader.
type Status struct {
	Records uint64    `json:"records"`
	Bad     uint64    `json:"bad"`
	Last    time.Time `json:"last"`
	Why     string    `json:"why,omitempty"`
}

// Reader reads records. Line must not be called by several at once.
type Reader struct {
	sink   network.Sink
	config Config

	separator string
	unset     string
	fields    []string

	records, bad atomic.Uint64
	last         atomic.Int64
	why          atomic.Pointer[string]
}

// Name is how the reader calls itself in what it reports.
const Name = "zeek"

const (
	maxLine   = 64 << 10
	maxFields = 200
)

// New returns a reader that reports to sink.
func New(sink network.Sink, c Config) *Reader {
	return &Reader{sink: sink, config: c, separator: "\t", unset: "-"}
}

// Run reads until ctx ends.
func (r *Reader) Run(ctx context.Context) error {
	return tail.Follow(ctx, r.config.Path, tail.Options{Max: maxLine, Whole: r.config.Whole, Head: '#', Long: r.wrong, State: r.state}, r.Line)
}

func (r *Reader) wrong() {
	r.records.Add(1)
	r.bad.Add(1)
}

func (r *Reader) state(err error) {
	why := ""
	if err != nil {
		why = err.Error()
	}
	r.why.Store(&why)
}

// Status is how it stands.
func (r *Reader) Status() Status {
	s := Status{Records: r.records.Load(), Bad: r.bad.Load()}
	if n := r.last.Load(); n != 0 {
		s.Last = time.Unix(0, n)
	}
	if why := r.why.Load(); why != nil {
		s.Why = *why
	}
	return s
}

// Line reads a line of the header, or a record. One that cannot be read is counted.
func (r *Reader) Line(line []byte) {
	text := string(line)
	if strings.HasPrefix(text, "#") {
		r.header(text)
		return
	}
	r.records.Add(1)
	r.last.Store(time.Now().UnixNano())
	c, err := r.parse(text)
	if err != nil {
		r.bad.Add(1)
		return
	}
	if f, err := c.flow(); err != nil {
		r.bad.Add(1)
	} else {
		r.sink.Observe(f)
	}
}

// header reads what the lines of a file mean. Another log's lines have no fields that
// are asked for, and are bad.
func (r *Reader) header(line string) {
	if s, ok := strings.CutPrefix(line, "#separator "); ok {
		if n, err := strconv.ParseUint(strings.TrimPrefix(s, `\x`), 16, 8); err == nil && strings.HasPrefix(s, `\x`) {
			s = string(rune(n))
		}
		if s != "" {
			r.separator = s
		}
		r.fields = nil
		return
	}
	words := strings.SplitN(line, r.separator, maxFields+1)
	switch {
	case words[0] == "#fields" && len(words) <= maxFields:
		r.fields = words[1:]
	case words[0] == "#unset_field" && len(words) == 2:
		r.unset = words[1]
	}
}

// conn is what is read of one connection.
type conn struct {
	TS        when   `json:"ts"`
	OrigH     string `json:"id.orig_h"`
	OrigP     uint16 `json:"id.orig_p"`
	RespH     string `json:"id.resp_h"`
	RespP     uint16 `json:"id.resp_p"`
	Proto     string `json:"proto"`
	Duration  span   `json:"duration"`
	State     string `json:"conn_state"`
	History   string `json:"history"`
	OrigPkts  uint64 `json:"orig_pkts"`
	RespPkts  uint64 `json:"resp_pkts"`
	OrigBytes uint64 `json:"orig_ip_bytes"`
	RespBytes uint64 `json:"resp_ip_bytes"`
	OrigMAC   string `json:"orig_l2_addr"`
}

// when is a time: seconds since 1970, or ISO 8601.
type when struct{ time.Time }

func (w *when) UnmarshalJSON(b []byte) error { return w.parse(strings.Trim(string(b), `"`)) }

func (w *when) parse(s string) error {
	if seconds, err := strconv.ParseFloat(s, 64); err == nil {
		if !(math.Abs(seconds) < 1<<40) {
			return errors.New("no time")
		}
		whole, part := math.Modf(seconds)
		w.Time = time.Unix(int64(whole), int64(part*1e9)).UTC()
		return nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	w.Time = t
	return err
}

// span is seconds.
type span time.Duration

func (d *span) UnmarshalJSON(b []byte) error { return d.parse(string(b)) }

func (d *span) parse(s string) error {
	seconds, err := strconv.ParseFloat(s, 64)
	if err != nil || !(seconds >= 0 && seconds < 1e9) {
		return errors.New("no duration")
	}
	*d = span(seconds * float64(time.Second))
	return nil
}

func (r *Reader) parse(text string) (c conn, err error) {
	if strings.HasPrefix(text, "{") {
		err = json.Unmarshal([]byte(text), &c)
		return c, err
	}
	if len(r.fields) == 0 {
		return c, errors.New("no header")
	}
	values := strings.SplitN(text, r.separator, maxFields+1)
	if len(values) != len(r.fields) {
		return c, fmt.Errorf("%d fields; expected %d", len(values), len(r.fields))
	}
	for i, v := range values {
		if v == r.unset {
			continue
		}
		if err := c.set(r.fields[i], v); err != nil {
			return c, fmt.Errorf("%s: %w", r.fields[i], err)
		}
	}
	return c, nil
}

// set takes the value of a field.
func (c *conn) set(field, v string) (err error) {
	switch field {
	case "ts":
		return c.TS.parse(v)
	case "id.orig_h":
		c.OrigH = v
	case "id.resp_h":
		c.RespH = v
	case "id.orig_p":
		return port(&c.OrigP, v)
	case "id.resp_p":
		return port(&c.RespP, v)
	case "proto":
		c.Proto = v
	case "duration":
		return c.Duration.parse(v)
	case "conn_state":
		c.State = v
	case "history":
		c.History = v
	case "orig_pkts":
		c.OrigPkts, err = strconv.ParseUint(v, 10, 63)
	case "resp_pkts":
		c.RespPkts, err = strconv.ParseUint(v, 10, 63)
	case "orig_ip_bytes":
		c.OrigBytes, err = strconv.ParseUint(v, 10, 63)
	case "resp_ip_bytes":
		c.RespBytes, err = strconv.ParseUint(v, 10, 63)
	case "orig_l2_addr":
		c.OrigMAC = v
	}
	return err
}

func port(to *uint16, v string) error {
	n, err := strconv.ParseUint(v, 10, 16)
	*to = uint16(n)
	return err
}

var errNoConnection = errors.New("no connection: conn.log is expected")

func (c conn) flow() (f network.Flow, err error) {
	src, err := netip.ParseAddr(c.OrigH)
	if err != nil {
		return f, errNoConnection
	}
	dst, err := netip.ParseAddr(c.RespH)
	if err != nil || c.TS.IsZero() {
		return f, errNoConnection
	}
	f = network.Flow{
		Time: c.TS.Add(time.Duration(c.Duration)), Src: src, Dst: dst, SrcPort: c.OrigP, DstPort: c.RespP,
		Packets: c.OrigPkts + c.RespPkts, Bytes: c.OrigBytes + c.RespBytes, Begun: true, Sensor: Name,
	}
	f.Protocol = protocolOf(c.Proto, src)
	if f.Protocol == network.ICMP || f.Protocol == network.ICMPv6 {
		f.SrcPort, f.DstPort = 0, c.OrigP // Zeek puts the type there
	}
	if c.OrigMAC != "" {
		if f.SrcMAC, err = network.ParseMAC(c.OrigMAC); err != nil {
			return f, err
		}
	}
	f.State, f.Midway, f.Proof = c.state(f.Protocol)
	return f, nil
}

func protocolOf(s string, src netip.Addr) network.Protocol {
	switch s {
	case "tcp":
		return network.TCP
	case "udp":
		return network.UDP
	case "icmp":
		if src.Is6() {
			return network.ICMPv6
		}
		return network.ICMP
	}
	return 255 // reserved (RFC 3692): one that nobody declares
}

// state is how far a connection came, by Zeek's conn_state and history.
func (c conn) state(p network.Protocol) (s network.State, midway bool, proof network.Proof) {
	if p != network.TCP {
		if c.RespPkts > 0 {
			return network.Established, false, network.NoProof
		}
		return network.Attempt, false, network.NoProof
	}
	switch c.State {
	case "REJ", "RSTRH":
		return network.Refused, false, network.NoProof
	case "S1", "S2", "S3", "SF", "RSTO", "RSTR":
		if strings.HasPrefix(c.History, "Sh") && strings.Contains(c.History, "A") && !strings.Contains(c.History, "R") {
			proof = network.ByTwoWay
		}
		return network.Established, !strings.HasPrefix(c.History, "S"), proof
	case "OTH", "SHR":
		return network.Attempt, true, network.NoProof
	}
	return network.Attempt, false, network.NoProof // S0, SH, RSTOS0, and what there will be
}
