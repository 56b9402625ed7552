package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"cordon/dicom"
	"cordon/inspect/compose"
)

const (
	gatewayImages = 300
	gatewayRounds = 5
)

// engineInGateway sends images through the gateway with and without clamd, in
// turn. clamd is asked about each piece once: what it costs depends on how many
// pieces differ from slice to slice.
func engineInGateway(ctx context.Context, b *bench) error {
	var files [3]string // by how many pieces vary
	var size int64
	for varying := range files {
		var err error
		files[varying] = filepath.Join(b.dir, fmt.Sprintf("private-%d", varying))
		if size, err = makePrivateCTs(files[varying], gatewayImages, varying); err != nil {
			return err
		}
	}
	_, clamd, err := startClamd(ctx, filepath.Join(b.dir, "scanner"), map[string]string{
		"bench.ndb": "Bench.Marker:0:*:62656e63682d6d61726b65722d746861742d69732d6e6f7768657265\n",
	})
	if err != nil {
		return err
	}
	defer clamd.stop()
	engine := fmt.Sprintf("engines: {clamd: {address: 'unix:%s'}}\n", filepath.Join(b.dir, "scanner", "clamd.sock"))
	loads := []struct {
		name, files, more string
		costs             []cost
	}{
		{"none", files[2], "", nil},
		{"clamd, pieces the same in all", files[0], engine, nil},
		{"clamd, 1 piece varies", files[1], engine, nil},
		{"clamd, 2 pieces vary", files[2], engine, nil},
	}
	for range gatewayRounds {
		for i, load := range loads {
			took, err := b.throughGateway(ctx, load.files, load.more)
			if err != nil {
				return fmt.Errorf("%s: %w", load.name, err)
			}
			loads[i].costs = append(loads[i].costs, cost{wall: took})
		}
	}
	rows := [][]string{{"engine", "images/s", "MB/s", "to without"}}
	for _, load := range loads {
		took := median(load.costs).wall
		rows = append(rows, []string{load.name, rate(gatewayImages, took), megabytes(size, took), ratio(median(loads[0].costs).wall, took)})
	}
	b.table(fmt.Sprintf("through the gateway, %d CT images with private elements, tuned sockets, medians of %d runs in turn", gatewayImages, gatewayRounds), rows)
	return nil
}

// throughGateway sends a folder through a new gateway and returns how long that
// took the sender.
func (b *bench) throughGateway(ctx context.Context, files, more string) (time.Duration, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	dir, err := os.MkdirTemp(b.dir, "gateway-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	s, err := startSink(ctx)
	if err != nil {
		return 0, err
	}
	g, err := b.startCordon(ctx, dir, string(sinkTitle), s.port(), more)
	if err != nil {
		return 0, err
	}
	defer g.peer.stop()
	begin := time.Now()
	if err := storescu(ctx, tuned, g.port, string(sinkTitle), files); err != nil {
		return 0, err
	}
	took := time.Since(begin)
	if err := s.await(ctx, gatewayImages); err != nil {
		return 0, err
	}
	log, err := os.ReadFile(g.peer.log)
	if err != nil {
		return 0, err
	}
	if strings.Contains(string(log), "unscanned") {
		return 0, fmt.Errorf("something was not scanned: %s", log)
	}
	return took, nil
}

// makePrivateCTs writes n CT images as vendors write them, with three private
// elements of which the given number differs in every slice, and returns the bytes
// of all.
func makePrivateCTs(dir string, n, varying int) (int64, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, err
	}
	noise := rand.New(rand.NewPCG(1, 2))
	header := make([]byte, 2048)
	for i := range header {
		header[i] = byte(noise.Uint32())
	}
	var total int64
	o := compose.CT(ctSide, ctSide)
	o.SetString(0x00290010, dicom.LO, "CORDON BENCH")
	o.Set(0x00291010, dicom.OB, header)
	for i := range n {
		part, slice := slices.Clone(header[:512]), 0
		if varying > 0 {
			part[0], part[1] = byte(i), byte(i>>8)
		}
		if varying > 1 {
			slice = i
		}
		o.Instance, o.InstanceNumber = compose.NewUID(), i+1
		o.Set(0x00291011, dicom.UN, part)
		o.SetString(0x00291012, dicom.LO, fmt.Sprintf("slice %d at %d.5 mm", slice, slice))
		file := o.File()
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%05d.dcm", i)), file, 0o600); err != nil {
			return 0, err
		}
		total += int64(len(file))
	}
	return total, nil
}
