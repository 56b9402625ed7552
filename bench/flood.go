package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
	"cordon/inspect/compose"
)

const (
	floodTime    = 10 * time.Second // of each row
	floodWorkers = 8
	floodPause   = time.Millisecond // between two connections of a worker: it shares the processors with what it floods
	knownDevice  = "127.0.0.21"
	flooder      = "127.0.0.66"
)

// floods measures how long a declared device waits for an association and for each
// image while another address floods: nothing; another port of this machine, which
// is what the flood itself costs; the gateway.
func floods(ctx context.Context, b *bench) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := startSink(ctx)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(b.dir, "flood-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	g, err := b.startCordon(ctx, filepath.Join(dir, "cordon"), string(sinkTitle), s.port(),
		"devices: [{name: ct-1, ae_title: CT1, addresses: ["+knownDevice+"/32]}]")
	if err != nil {
		return err
	}
	defer g.peer.stop()
	elsewhere, err := startDoormat(ctx)
	if err != nil {
		return err
	}
	from, err := startRelay(ctx, knownDevice, net.JoinHostPort("127.0.0.1", g.port))
	if err != nil {
		return err
	}
	if _, err := storeFor(ctx, from, 2*time.Second); err != nil { // warm
		return err
	}
	rows := [][]string{{"flood of", "connections/s", "images", "turned away", "association p50 ms", "p99", "image p50 ms", "p99"}}
	var seen []latencies
	for _, c := range []struct{ name, target string }{
		{"nothing", ""}, {"another port", elsewhere}, {"the gateway", net.JoinHostPort("127.0.0.1", g.port)},
	} {
		row, l, err := floodRow(ctx, c.target, from)
		if err != nil {
			return fmt.Errorf("flood of %s: %w", c.name, err)
		}
		rows, seen = append(rows, append([]string{c.name}, row...)), append(seen, l)
	}
	rows = append(rows,
		append([]string{"gateway : nothing", "", "", ""}, seen[2].over(seen[0])...),
		append([]string{"gateway : another port", "", "", ""}, seen[2].over(seen[1])...))
	b.table(fmt.Sprintf("CT images of a declared device, one association for ten, while %s opens connections", flooder), rows)
	return nil
}

// latencies are how long associations and images took, in seconds.
type latencies struct {
	associations, images []float64
	turnedAway           int
}

func (l *latencies) cells() []string {
	ms := func(all []float64, p float64) string { return fmt.Sprintf("%.1f", 1000*quantile(all, p)) }
	return []string{fmt.Sprint(len(l.images)), fmt.Sprint(l.turnedAway), ms(l.associations, 0.5), ms(l.associations, 0.99), ms(l.images, 0.5), ms(l.images, 0.99)}
}

// over are the ratios of l's figures to others.
func (l *latencies) over(o latencies) []string {
	ratio := func(a, b []float64, p float64) string { return fmt.Sprintf("%.2f", quantile(a, p)/quantile(b, p)) }
	return []string{
		ratio(l.associations, o.associations, 0.5), ratio(l.associations, o.associations, 0.99),
		ratio(l.images, o.images, 0.5), ratio(l.images, o.images, 0.99),
	}
}

func quantile(all []float64, p float64) float64 {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[int(p*float64(len(sorted)-1))]
}

// floodRow stores while target, if there is one, is flooded.
func floodRow(ctx context.Context, target, from string) ([]string, latencies, error) {
	flooding, stop := context.WithCancel(ctx)
	defer stop()
	var opened atomic.Int64
	var workers sync.WaitGroup
	if target != "" {
		for range floodWorkers {
			workers.Go(func() { flood(flooding, target, &opened) }) // ends with flooding
		}
	}
	begin := time.Now()
	l, err := storeFor(ctx, from, floodTime)
	took := time.Since(begin)
	stop()
	workers.Wait()
	if err != nil {
		return nil, l, err
	}
	return append([]string{fmt.Sprintf("%.0f", float64(opened.Load())/took.Seconds())}, l.cells()...), l, nil
}

// storeFor stores images for a time, ten on each association. Being rejected is
// counted and no error.
func storeFor(ctx context.Context, address string, d time.Duration) (latencies, error) {
	var l latencies
	o := compose.CT(512, 512)
	for end := time.Now().Add(d); time.Now().Before(end); {
		begin := time.Now()
		as, err := ul.Dial(ctx, address, nil, ul.Request{Calling: "CT1", Called: sinkTitle, Contexts: []ul.ProposedContext{
			{AbstractSyntax: o.SOPClass, TransferSyntaxes: []dicom.UID{o.TransferSyntax}},
		}}, ul.Limits{})
		if rejection := (*ul.Rejection)(nil); errors.As(err, &rejection) || errors.Is(err, io.ErrUnexpectedEOF) {
			l.turnedAway++
			continue
		}
		if err != nil {
			return l, err
		}
		l.associations = append(l.associations, time.Since(begin).Seconds())
		if err := storeTen(ctx, dimse.NewConn(as), o, &l); err != nil {
			return l, err
		}
	}
	return l, nil
}

func storeTen(ctx context.Context, c *dimse.Conn, o *compose.Object, l *latencies) error {
	defer c.Close()
	for range 10 {
		o.Instance = compose.NewUID()
		data := o.DataSet()
		begin := time.Now()
		rsp, err := c.Store(ctx, 1, dimse.StoreRequest{SOPClassUID: o.SOPClass, SOPInstanceUID: o.Instance}, bytes.NewReader(data))
		if err != nil || rsp.Status != dimse.Success {
			return fmt.Errorf("C-STORE: status %04X: %w", uint16(rsp.Status), err)
		}
		l.images = append(l.images, time.Since(begin).Seconds())
	}
	return c.Release(ctx)
}

// flood opens connections to target from the flooder's address: a third is closed
// at once, a third says something that is no DICOM, a third begins a request and
// is kept a while.
func flood(ctx context.Context, target string, opened *atomic.Int64) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(flooder)}, Timeout: time.Second}
	var kept []net.Conn
	defer func() {
		for _, nc := range kept {
			nc.Close()
		}
	}()
	for n := 0; ctx.Err() == nil; n++ {
		time.Sleep(floodPause)
		nc, err := d.DialContext(ctx, "tcp", target)
		if err != nil {
			continue
		}
		opened.Add(1)
		switch n % 3 {
		case 0:
			nc.Close()
			continue
		case 1:
			nc.Write([]byte("GET / HTTP/1.1\r\n\r\n"))
		case 2:
			nc.Write([]byte{1, 0, 0, 0, 0, 200})
		}
		if kept = append(kept, nc); len(kept) > 100 {
			kept[0].Close()
			kept = kept[1:]
		}
	}
}

// startDoormat listens until ctx ends, and closes whatever comes: what a flood
// costs that meets nobody.
func startDoormat(ctx context.Context) (address string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	context.AfterFunc(ctx, func() { l.Close() })
	go func() { // ends with the listener
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			nc.(*net.TCPConn).SetLinger(0)
			nc.Close()
		}
	}()
	return l.Addr().String(), nil
}

// startRelay passes connections on to target from another address of this machine,
// until ctx ends: so a device has an address of its own.
func startRelay(ctx context.Context, from, target string) (address string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	context.AfterFunc(ctx, func() { l.Close() })
	go func() { // ends with the listener
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go relay(nc, from, target) // ends with its connections
		}
	}()
	return l.Addr().String(), nil
}

func relay(nc net.Conn, from, target string) {
	defer nc.Close()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	to, err := d.Dial("tcp", target)
	if err != nil {
		return
	}
	defer to.Close()
	done := make(chan struct{})
	go func() { // ends when either connection does
		defer close(done)
		io.Copy(to, nc)
		to.(*net.TCPConn).CloseWrite()
	}()
	io.Copy(nc, to)
	nc.(*net.TCPConn).CloseWrite()
	<-done
}
