package main

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// routed is how many images a second reach the archive through Orthanc as a
// router and through Cordon, from one storescu.
type routed struct {
	tuned                  bool // storescu's and Orthanc's sockets
	orthanc, cordon, ratio float64
}

// forwarding makes Orthanc a router: each image goes on, then it is dropped.
const forwarding = `function OnStoredInstance(instance, tags, metadata, origin)
  Delete(SendToModality(instance, 'sink'))
end
`

// routes measures it with sockets as they come, and tuned.
func (b *bench) routes(ctx context.Context) ([]routed, error) {
	var all []routed
	for _, tune := range []bool{false, true} {
		r, err := b.route(ctx, tune)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// route sends images through both, by turns.
func (b *bench) route(ctx context.Context, tune bool) (routed, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	dir, err := os.MkdirTemp(b.dir, "router-")
	if err != nil {
		return routed{}, err
	}
	defer os.RemoveAll(dir)
	ct, err := ctSample(ctSide)
	if err != nil {
		return routed{}, err
	}
	c := course{tuned: tune, associations: 1, sample: ct}
	t, err := b.startTarget(ctx, "null", dir, nil)
	if err != nil {
		return routed{}, err
	}
	script := filepath.Join(dir, "forward.lua")
	if err := os.WriteFile(script, []byte(forwarding), 0o600); err != nil {
		return routed{}, err
	}
	port, _ := strconv.Atoi(t.port)
	router, err := startOrthancWith(ctx, filepath.Join(dir, "router"), c.env(), map[string]any{
		"LuaScripts": []string{script}, "DicomModalities": map[string]any{"sink": []any{t.title, "127.0.0.1", port}},
	})
	if err != nil {
		return routed{}, err
	}
	defer router.peer.stop()
	g, err := b.startCordon(ctx, filepath.Join(dir, "cordon"), t.title, t.port)
	if err != nil {
		return routed{}, err
	}
	defer g.peer.stop()
	rounds, images := 3, 30
	if b.full {
		rounds, images = 5, 100
	}
	var rates [2][]float64
	var ratios []float64
	for range rounds {
		var now [2]float64
		for way, at := range []*target{{title: router.title, port: router.port}, {title: t.title, port: g.port}} {
			if now[way], err = b.endToEnd(ctx, c, at, t, images); err != nil {
				return routed{}, err
			}
			rates[way] = append(rates[way], now[way])
			images = []int{images * 10, images / 10}[way] // the faster one gets more to do
		}
		ratios = append(ratios, now[1]/now[0])
	}
	return routed{tune, quantile(rates[0], 0.5), quantile(rates[1], 0.5), quantile(ratios, 0.5)}, nil
}

// endToEnd sends images to at and returns how many a second arrived at last.
func (b *bench) endToEnd(ctx context.Context, c course, at, last *target, images int) (float64, error) {
	before, err := last.count()
	if err != nil {
		return 0, err
	}
	if images > senderFiles {
		images -= images % senderFiles
	}
	begin := time.Now()
	if _, err := b.storescus(ctx, c, at, at.port, images); err != nil {
		return 0, err
	}
	if err := last.await(ctx, before+images); err != nil {
		return 0, err
	}
	return float64(images) / time.Since(begin).Seconds(), nil
}
