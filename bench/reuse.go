package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
)

// reused is how many images of 525 kB a second one modality stores that
// associates for each, with an archive that starts a process for each
// association: directly, through a gateway that keeps its own, and through one
// that does not.
type reused struct{ direct, kept, each float64 }

func (b *bench) reuse(ctx context.Context) (reused, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	dir, err := os.MkdirTemp(b.dir, "reuse-")
	if err != nil {
		return reused{}, err
	}
	defer os.RemoveAll(dir)
	t, err := b.startTarget(ctx, "storescp", dir, tuned)
	if err != nil {
		return reused{}, err
	}
	defer t.stop()
	ports := []string{t.port}
	for _, keeps := range []string{"true", "false"} {
		g, err := b.startCordonFor(ctx, filepath.Join(dir, "reuse-"+keeps), []string{t.archive("upstream"), "    reuse: " + keeps})
		if err != nil {
			return reused{}, err
		}
		defer g.peer.stop()
		ports = append(ports, g.port)
	}
	ct, err := ctSample(ctSide)
	if err != nil {
		return reused{}, err
	}
	rounds, images := 5, 60
	if b.full {
		rounds, images = 9, 200
	}
	rates := make([][]float64, len(ports))
	for round := range rounds {
		for turn := range ports {
			way := (round + turn) % len(ports)
			if err := t.clean(); err != nil {
				return reused{}, err
			}
			begin := time.Now()
			for range images {
				if err := storeAlone(ctx, ports[way], t.title, ct); err != nil {
					return reused{}, err
				}
			}
			rates[way] = append(rates[way], float64(images)/time.Since(begin).Seconds())
		}
	}
	return reused{quantile(rates[0], 0.5), quantile(rates[1], 0.5), quantile(rates[2], 0.5)}, nil
}

// storeAlone stores one object on an association of its own.
func storeAlone(ctx context.Context, port, called string, s *sample) error {
	as, err := ul.Dial(ctx, net.JoinHostPort("127.0.0.1", port), nil, ul.Request{
		Calling: "CT1", Called: dicom.AETitle(called),
		Contexts: []ul.ProposedContext{{AbstractSyntax: s.class, TransferSyntaxes: []dicom.UID{s.ts}}},
	}, ul.Limits{})
	if err != nil {
		return err
	}
	c := dimse.NewConn(as)
	defer c.Close()
	uid, data := s.next()
	rsp, err := c.Store(ctx, 1, dimse.StoreRequest{SOPClassUID: s.class, SOPInstanceUID: uid}, data)
	if err == nil && rsp.Status != dimse.Success {
		err = fmt.Errorf("C-STORE: status %04X", uint16(rsp.Status))
	}
	return errors.Join(err, c.Release(ctx))
}
