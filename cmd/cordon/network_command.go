package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	pagewatch "cordon/console/watch"
	"cordon/network"
	"cordon/network/eve"
	"cordon/network/frame"
	"cordon/network/pcap"
	"cordon/network/tail"
	"cordon/network/track"
	"cordon/network/zeek"
)

type networkCommand struct {
	Seen    networkSeenCommand    `cmd:"" help:"Who talks to whom."`
	Alerts  networkAlertsCommand  `cmd:"" help:"What was unusual on the network, the latest first."`
	Sensors networkSensorsCommand `cmd:"" help:"The sensors: what they see, and what they cost."`
	Rules   networkRulesCommand   `cmd:"" help:"The rules: what counts as unusual, and what to do about it."`
	Replay  networkReplayCommand  `cmd:"" help:"Hold recorded traffic against the configuration: what would have been unusual. Nothing is kept."`
}

type networkSeenCommand struct {
	Device string `arg:"" optional:"" help:"Only what this device calls, or is called by."`
	All    bool   `help:"Also what is declared, and what is neither a device's nor to one."`
	JSON   bool   `help:"One JSON object a line; everything."`
}

func (c networkSeenCommand) Run(ctx context.Context, at place, std stdio) error {
	return withControl(ctx, at, func(control *control) error {
		table, left := newTable(std.out), 0
		if !c.JSON {
			fmt.Fprintln(table, "FROM\tTO\tSERVICE\tDECLARED\tBEGUN\tANSWERED\tBYTES\tFIRST\tLAST")
		}
		err := each(ctx, control, "network/seen?device="+url.QueryEscape(c.Device), func(s network.Seen) error {
			switch {
			case c.JSON:
				return json.NewEncoder(std.out).Encode(s)
			case !c.All && (s.Allowed || s.Device == "" && s.Peer == ""):
				left++
				return nil
			}
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%s\t%s\n", party(s.Device, s.Src), party(s.Peer, s.Dst), network.Service(s.Protocol, s.Port),
				or(s.Purpose, "no"), s.Attempts, s.Established, s.Bytes, ago(s.First), ago(s.Last))
			return nil
		})
		table.Flush()
		if left > 0 && err == nil {
			fmt.Fprintf(std.out, "%d rows that are declared, or of nobody's devices, are left out; --all shows them\n", left)
		}
		return err
	})
}

// party is how people read one end.
func party(name string, a netip.Addr) string {
	if name == "" {
		return a.String()
	}
	return name + " " + a.String()
}

type networkAlertsCommand struct {
	Last int  `default:"50" help:"How many."`
	JSON bool `help:"One JSON object a line."`
}

func (c networkAlertsCommand) Run(ctx context.Context, at place, std stdio) error {
	return withControl(ctx, at, func(control *control) error {
		table, n := newTable(std.out), 0
		err := each(ctx, control, fmt.Sprintf("network/alerts?last=%d", c.Last), func(a network.Alert) error {
			if c.JSON {
				return json.NewEncoder(std.out).Encode(a)
			}
			if n++; n == 1 {
				fmt.Fprintln(table, "LAST\tSEVERITY\tRULE\tDEVICE\tPROVEN\tTIMES\tDETAIL")
			}
			printAlert(table, a)
			return nil
		})
		table.Flush()
		if n == 0 && err == nil && !c.JSON {
			fmt.Fprintln(std.out, "nothing")
		}
		return err
	})
}

func printAlert(out io.Writer, a network.Alert) {
	fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%d\t%s\n", a.At.Local().Format(time.DateTime), a.Severity, a.Rule, party(a.Device, a.Address), or(string(a.Proof), "no"), a.Count, printable(a.Detail))
}

type networkSensorsCommand struct {
	JSON bool `help:"One JSON object a line."`
}

func (c networkSensorsCommand) Run(ctx context.Context, at place, std stdio) error {
	return withControl(ctx, at, func(control *control) error {
		table, n := newTable(std.out), 0
		err := each(ctx, control, "network/sensors", func(s pagewatch.Sensor) error {
			if c.JSON {
				return json.NewEncoder(std.out).Encode(s)
			}
			if n++; n == 1 {
				fmt.Fprintln(table, "SENSOR\tKIND\tSEES\tPACKETS OR RECORDS\tNOT SEEN OR NOT READ\tFLOWS\tCPU")
			}
			sees := "yes"
			if !s.Sees {
				sees = "no: " + s.Why
			}
			fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%d\t%d\t%s\n", s.Name, s.Kind, sees, s.Records, s.Drops, s.Flows, s.CPU.Round(time.Millisecond))
			return nil
		})
		table.Flush()
		if n == 0 && err == nil && !c.JSON {
			fmt.Fprintln(std.out, "no sensor runs; network.capture, network.eve or network.zeek in the configuration begins one")
		}
		return err
	})
}

type networkRulesCommand struct{}

func (networkRulesCommand) Run(std stdio) error {
	table := newTable(std.out)
	fmt.Fprintln(table, "RULE\tSEVERITY\tTHRESHOLD\tWHAT IT IS")
	for _, r := range network.Rules() {
		threshold := "once"
		if r.Threshold > 0 {
			threshold = fmt.Sprintf("%d %s", r.Threshold, r.Unit)
		}
		if r.Threshold > 0 && r.Within > 0 {
			threshold += fmt.Sprintf(" in %v", r.Within)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", r.ID, r.Severity, threshold, r.Title)
	}
	return table.Flush()
}

type networkReplayCommand struct {
	File string `arg:"" type:"existingfile" help:"Recorded traffic: a pcap file, Suricata's EVE JSON, or Zeek's conn.log."`
	JSON bool   `help:"One JSON object a line."`
}

// Run is 1 if something unusual is found, as inspect's.
func (c networkReplayCommand) Run(ctx context.Context, at place, std stdio) error {
	config, err := at.config()
	if err != nil {
		return err
	}
	w, err := network.New(ctx, config.replay(), network.Parts{})
	if err != nil {
		return err
	}
	f, err := os.Open(c.File)
	if err != nil {
		return failure{2, err}
	}
	defer f.Close()
	if err := replay(ctx, f, w); err != nil {
		return failure{2, err}
	}
	alerts := w.Drain()
	slices.SortStableFunc(alerts, func(a, b network.Alert) int { return a.First.Compare(b.First) })
	if err := c.print(std, alerts); err != nil {
		return err
	}
	if len(alerts) > 0 {
		return failure{1, nil}
	}
	return nil
}

func (c networkReplayCommand) print(std stdio, alerts []network.Alert) error {
	table := newTable(std.out)
	for i, a := range alerts {
		if c.JSON {
			if err := json.NewEncoder(std.out).Encode(a); err != nil {
				return err
			}
			continue
		}
		if i == 0 {
			fmt.Fprintln(table, "LAST\tSEVERITY\tRULE\tDEVICE\tPROVEN\tTIMES\tDETAIL")
		}
		printAlert(table, a)
	}
	if len(alerts) == 0 && !c.JSON {
		fmt.Fprintln(std.out, "nothing unusual")
	}
	return table.Flush()
}

// replay reads a file of whichever kind it is.
func replay(ctx context.Context, f *os.File, w *network.Watch) error {
	head := make([]byte, 4)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%s: %w", f.Name(), err)
	}
	head = head[:n]
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	switch {
	case bytes.HasPrefix(head, []byte("#")):
		return replayLines(ctx, f, zeek.New(w, zeek.Config{}).Line)
	case bytes.HasPrefix(head, []byte("{")):
		return replayJSON(ctx, f, w)
	}
	return replayPackets(ctx, f, w)
}

// replayJSON tells Suricata's records from Zeek's by the first line.
func replayJSON(ctx context.Context, f *os.File, w *network.Watch) error {
	first := make([]byte, 4096)
	n, err := f.ReadAt(first, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	line, _, _ := strings.Cut(string(first[:n]), "\n")
	if strings.Contains(line, `"event_type"`) {
		return replayLines(ctx, f, eve.New(w, eve.Config{}).Line)
	}
	return replayLines(ctx, f, zeek.New(w, zeek.Config{}).Line)
}

func replayLines(ctx context.Context, f io.Reader, take func([]byte)) error {
	lines := tail.NewLines(64<<10, take, nil)
	b := make([]byte, 64<<10)
	for ctx.Err() == nil {
		n, err := f.Read(b)
		lines.Write(b[:n])
		if errors.Is(err, io.EOF) {
			lines.Close()
			return nil
		}
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

func replayPackets(ctx context.Context, f io.Reader, w *network.Watch) error {
	r, err := pcap.NewReader(f)
	if err != nil {
		return fmt.Errorf("neither recorded packets nor records of Suricata or Zeek: %w", err)
	}
	table := track.New(w, track.Config{Sensor: "replay"})
	var p frame.Packet
	var last time.Time
	for ctx.Err() == nil {
		at, data, err := r.Next()
		if errors.Is(err, io.EOF) {
			table.Tick(last.Add(time.Second))
			table.Close(last.Add(time.Second))
			return nil
		}
		if err != nil {
			return err
		}
		if last = at; r.Decode(&p, data) {
			table.Packet(at, &p)
		}
		table.Tick(at)
	}
	return ctx.Err()
}
