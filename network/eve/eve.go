// Package eve reads what Suricata writes about flows, detections and names: EVE JSON,
// one object a line (https://docs.suricata.io/en/latest/output/eve/eve-json-format.html).
//
// Ordinary use:
//
//	r := eve.New(watch, eve.Config{Path: "/var/log/suricata/eve.json"})
//	err := r.Run(ctx)                      // follows the file through rotations
//	r.Line([]byte(`{"event_type":"flow",…}`))
//
// It reads flow, alert and dns records; of records of an application (smb, rdp, …) that
// both ends talk. Everything else is counted and left alone. Config.Socket listens on a
// unix stream socket in the place of a file (Suricata's filetype: unix_stream).
//
// A flow that Suricata says to be established is proven if the caller's end sent no
// reset: one that did may be a host in whose name somebody else called. An alert alone
// proves nothing; the record of its flow does. It keeps no payload: those that
// Suricata may put into alerts are not read.
package eve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"cordon/network"
	"cordon/network/tail"
)

// Config of a Reader: a file or a socket.
type Config struct {
	Path   string // of the file
	Socket string // of the socket that Suricata connects to
	Whole  bool   // begin with what is in the file
}

// Status is how it stands with a Reader.
type Status struct {
	Records uint64    `json:"records"` // read
	Used    uint64    `json:"used"`    // of them: flows, alerts, names
	Bad     uint64    `json:"bad"`     // that are no EVE, or too long
	Last    time.Time `json:"last"`    // when the last one was read; zero: none
	Why     string    `json:"why,omitempty"`
}

// Reader reads records.
type Reader struct {
	sink   network.Sink
	config Config

	records, used, bad atomic.Uint64
	last               atomic.Int64 // Unix nanoseconds
	why                atomic.Pointer[string]
}

// Name is how the reader calls itself in what it reports.
const Name = "eve"

const (
	maxLine    = 64 << 10
	maxClients = 4 // of the socket
)

// New returns a reader that reports to sink.
func New(sink network.Sink, c Config) *Reader { return &Reader{sink: sink, config: c} }

// Run reads until ctx ends.
func (r *Reader) Run(ctx context.Context) error {
	if r.config.Socket != "" {
		return r.serve(ctx)
	}
	return tail.Follow(ctx, r.config.Path, tail.Options{Max: maxLine, Whole: r.config.Whole, Long: r.wrong, State: r.state}, r.Line)
}

func (r *Reader) state(err error) {
	why := ""
	if err != nil {
		why = err.Error()
	}
	r.why.Store(&why)
}

// serve listens on the socket. Whoever may open it is the file system's to say.
func (r *Reader) serve(ctx context.Context) error {
	if err := os.Remove(r.config.Socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("network.eve: %w", err)
	}
	l, err := net.Listen("unix", r.config.Socket)
	if err != nil {
		return fmt.Errorf("network.eve: %w (choose a path in a directory that Cordon may write)", err)
	}
	if err := os.Chmod(r.config.Socket, 0o660); err != nil {
		return errors.Join(fmt.Errorf("network.eve: %w", err), l.Close())
	}
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	var clients sync.WaitGroup
	defer clients.Wait()
	seats := make(chan struct{}, maxClients)
	for {
		c, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("network.eve: %w", err)
		}
		select {
		case seats <- struct{}{}:
		default:
			c.Close()
			continue
		}
		clients.Go(func() { // ends with its connection, which ends with ctx
			defer func() { <-seats }()
			done := context.AfterFunc(ctx, func() { c.Close() })
			defer done()
			r.read(c)
		})
	}
}

func (r *Reader) read(c net.Conn) {
	defer c.Close()
	lines := tail.NewLines(maxLine, r.Line, r.wrong)
	b := make([]byte, 32<<10)
	for {
		n, err := c.Read(b)
		lines.Write(b[:n])
		if err != nil {
			return
		}
	}
}

func (r *Reader) wrong() {
	r.records.Add(1)
	r.bad.Add(1)
}

// Status is how it stands.
func (r *Reader) Status() Status {
	s := Status{Records: r.records.Load(), Used: r.used.Load(), Bad: r.bad.Load()}
	if n := r.last.Load(); n != 0 {
		s.Last = time.Unix(0, n)
	}
	if why := r.why.Load(); why != nil {
		s.Why = *why
	}
	return s
}

// record is what is read of one line.
type record struct {
	Timestamp stamp  `json:"timestamp"`
	Type      string `json:"event_type"`
	SrcIP     string `json:"src_ip"`
	DestIP    string `json:"dest_ip"`
	SrcPort   uint16 `json:"src_port"`
	DestPort  uint16 `json:"dest_port"`
	Proto     string `json:"proto"`
	ICMPType  uint16 `json:"icmp_type"`
	Flow      struct {
		ToServer      uint64 `json:"pkts_toserver"`
		ToClient      uint64 `json:"pkts_toclient"`
		BytesToServer uint64 `json:"bytes_toserver"`
		BytesToClient uint64 `json:"bytes_toclient"`
		End           stamp  `json:"end"`
	} `json:"flow"`
	TCP struct {
		FlagsToServer string `json:"tcp_flags_ts"`
		FlagsToClient string `json:"tcp_flags_tc"`
		State         string `json:"state"`
	} `json:"tcp"`
	Alert struct {
		GID       int    `json:"gid"`
		ID        int    `json:"signature_id"`
		Signature string `json:"signature"`
		Severity  int    `json:"severity"`
	} `json:"alert"`
	DNS struct {
		Type    string `json:"type"`
		Name    string `json:"rrname"`
		Code    string `json:"rcode"`
		Queries []struct {
			Name string `json:"rrname"`
		} `json:"queries"`
	} `json:"dns"`
	Direction string `json:"direction"`
}

// stamp is a time as EVE writes it.
type stamp struct{ time.Time }

func (s *stamp) UnmarshalJSON(b []byte) error {
	text, err := strconv.Unquote(string(b))
	if err != nil {
		return err
	}
	s.Time, err = time.Parse("2006-01-02T15:04:05.999999999-0700", text)
	if err != nil {
		s.Time, err = time.Parse(time.RFC3339Nano, text)
	}
	return err
}

// Line reads one record. One that cannot be read is counted.
func (r *Reader) Line(line []byte) {
	r.records.Add(1)
	r.last.Store(time.Now().UnixNano())
	var e record
	if err := json.Unmarshal(line, &e); err != nil || e.Type == "" {
		r.bad.Add(1)
		return
	}
	if !e.wanted() {
		return
	}
	src, err := netip.ParseAddr(e.SrcIP)
	dst, err2 := netip.ParseAddr(e.DestIP)
	if err != nil || err2 != nil || e.Timestamp.IsZero() {
		r.bad.Add(1)
		return
	}
	r.used.Add(1)
	r.report(&e, src, dst)
}

// applications are the records that say both ends talk, of what worms use.
func (e *record) application() bool {
	switch e.Type {
	case "smb", "rdp", "dcerpc", "ssh", "krb5", "nfs", "rfb", "http", "tls", "ftp", "smtp", "mqtt":
		return true
	}
	return false
}

func (e *record) wanted() bool {
	return e.Type == "flow" || e.Type == "alert" || e.Type == "dns" || e.application()
}

func (r *Reader) report(e *record, src, dst netip.Addr) {
	protocol := protocolOf(e.Proto)
	switch {
	case e.Type == "flow":
		r.sink.Observe(e.flow(src, dst, protocol))
	case e.Type == "alert":
		r.sink.Detected(network.Detection{
			Time: e.Timestamp.Time, Src: src, Dst: dst, SrcPort: e.SrcPort, DstPort: e.DestPort, Protocol: protocol,
			Signature: e.Alert.Signature, ID: fmt.Sprintf("%d:%d", max(1, e.Alert.GID), e.Alert.ID), Level: e.Alert.Severity, Sensor: Name,
		})
	case e.Type == "dns":
		r.dns(e, src, dst)
	case e.Direction != "to_client":
		r.sink.Observe(network.Flow{
			Time: e.Timestamp.Time, Src: src, Dst: dst, SrcPort: e.SrcPort, DstPort: e.DestPort, Protocol: protocol,
			State: network.Established, Sensor: Name,
		})
	}
}

// dns reports answers: they are told to whoever asked, or in older versions of him.
func (r *Reader) dns(e *record, src, dst netip.Addr) {
	if e.DNS.Type != "answer" && e.DNS.Type != "response" {
		return
	}
	name := e.DNS.Name
	if name == "" && len(e.DNS.Queries) > 0 {
		name = e.DNS.Queries[0].Name
	}
	asker := src
	if e.SrcPort == 53 {
		asker = dst
	}
	r.sink.Asked(network.Asked{Time: e.Timestamp.Time, Src: asker, Name: name, Missing: e.DNS.Code == "NXDOMAIN", Sensor: Name})
}

func protocolOf(s string) network.Protocol {
	switch strings.ToUpper(s) {
	case "TCP":
		return network.TCP
	case "UDP":
		return network.UDP
	case "ICMP":
		return network.ICMP
	case "IPV6-ICMP":
		return network.ICMPv6
	case "SCTP":
		return 132
	case "GRE":
		return 47
	case "ESP":
		return 50
	}
	if n, err := strconv.ParseUint(s, 10, 8); err == nil {
		return network.Protocol(n)
	}
	return 255 // reserved (RFC 3692): one that nobody declares
}

// Flags of TCP.
const (
	syn = 0x02
	rst = 0x04
)

// flow is what Suricata says at the end of a flow, or while it goes on.
func (e *record) flow(src, dst netip.Addr, p network.Protocol) network.Flow {
	f := network.Flow{
		Time: e.Timestamp.Time, Src: src, Dst: dst, SrcPort: e.SrcPort, DstPort: e.DestPort, Protocol: p,
		Packets: e.Flow.ToServer + e.Flow.ToClient, Bytes: e.Flow.BytesToServer + e.Flow.BytesToClient,
		State: network.Attempt, Begun: true, Sensor: Name,
	}
	if !e.Flow.End.IsZero() {
		f.Time = e.Flow.End.Time
	}
	if p == network.ICMP || p == network.ICMPv6 {
		f.SrcPort, f.DstPort = 0, e.ICMPType
	}
	if e.Flow.ToClient > 0 {
		f.State = network.Established
	}
	if p == network.TCP {
		e.tcp(&f)
	}
	return f
}

func (e *record) tcp(f *network.Flow) {
	there, back := flags(e.TCP.FlagsToServer), flags(e.TCP.FlagsToClient)
	f.Midway = there&syn == 0
	switch {
	case e.Flow.ToClient == 0:
	case back&rst != 0 && back&syn == 0:
		f.State = network.Refused
	case e.TCP.State == "" || e.TCP.State == "none" || e.TCP.State == "syn_sent" || e.TCP.State == "syn_recv" || e.TCP.State == "listen":
		f.State = network.Attempt
	case there&rst == 0 && back&syn != 0 && !f.Midway:
		f.Proof = network.ByTwoWay
	}
}

func flags(s string) uint8 {
	n, err := strconv.ParseUint(s, 16, 8)
	if err != nil {
		return 0
	}
	return uint8(n)
}
