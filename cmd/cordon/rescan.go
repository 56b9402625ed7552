package main

import (
	"context"
	"strings"

	"cordon/console"
	"cordon/rescan"
)

// recalls gives the console what was delivered and then found harmful.
func (p *parts) recalls() *console.Recalls {
	return &console.Recalls{
		Counts: func(ctx context.Context) (console.RescanCounts, error) {
			s, err := p.rescan.Status(ctx)
			return console.RescanCounts(s), err
		},
		List: func(ctx context.Context, all bool) ([]console.Recall, error) {
			hits, err := p.rescan.Hits(ctx, all)
			out := make([]console.Recall, 0, len(hits))
			for _, h := range hits {
				out = append(out, console.Recall(h))
			}
			return out, err
		},
		Done: p.rescan.Done,
	}
}

// rescanWork is what a rescan works with: the gateway's judge, and the engines.
func (d *daemon) rescanWork() rescan.Work {
	return rescan.Work{
		Judge:   d.judge,
		Engines: d.engineSignatures,
		Paused:  func() bool { return len(d.parts.bypass.On()) > 0 },
	}
}

// engineSignatures are those of all engines, and whether every one answers.
func (d *daemon) engineSignatures(ctx context.Context) (signatures string, up bool) {
	var all []string
	for _, e := range d.scanners {
		s := e.State(ctx)
		if !s.Up {
			return "", false
		}
		all = append(all, s.Name+" "+s.Signatures)
	}
	return strings.Join(all, "\n"), true
}
