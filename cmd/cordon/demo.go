package main

import (
	"context"
	"errors"
	"time"

	"cordon/demo"
)

// errDemoArchives keeps made-up patients out of real archives.
var errDemoArchives = errors.New("--demo stores made-up studies, and this configuration names archives: leave it out, and the demonstration goes to a folder")

// demo plays a small hospital against the gateway: a few minutes, a few tens of
// megabytes. What goes wrong in it is logged and is no reason to stop.
func (d *daemon) demo(ctx context.Context) error {
	s, err := demo.Play(ctx, demo.Config{
		Address: d.dicom.Addr().String(),
		Called:  d.config.Gateway.AETitle,
		Log:     d.log,
		Pace:    2 * time.Second,
		Rounds:  12,
	})
	if err != nil && ctx.Err() == nil {
		d.log.Warn("demonstration", "error", err)
	}
	d.log.Info("demonstration is over", "studies", s.Studies, "stored", s.Stored, "hostile", s.Hostile, "failed", s.Failed)
	return nil
}
