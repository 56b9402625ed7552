package main

import (
	"context"
	"os"

	"cordon/notify"
)

// openManager opens the service manager's socket. One that cannot be used is said
// and gone without: imaging does not depend on it.
func (d *daemon) openManager() {
	m, err := notify.Open(os.Getenv)
	if err != nil {
		d.log.Warn("the service manager cannot be told how Cordon does", "error", err)
		return
	}
	d.manager = m
}

// tell logs that the service manager was not told.
func (d *daemon) tell(err error) {
	if err != nil {
		d.log.Warn("the service manager was not told", "error", err)
	}
}

// beat tells the service manager that Cordon lives, as long as associations are
// answered on its own listener. It goes on while Cordon stops: what is under way
// may take its time.
func (d *daemon) beat(ctx context.Context) error {
	d.manager.Watch(ctx, d.answers, func(err error) {
		d.log.Error("Cordon does not answer its own association: if that lasts, the service manager restarts it", "error", err)
	})
	return nil
}

// answers is nil if an association is answered. While Cordon stops none is, and
// the manager's own limit on stopping holds.
func (d *daemon) answers(ctx context.Context) error {
	if !d.accepting.Load() {
		return nil
	}
	err := d.gateway.Echo(ctx, d.dicom.Addr())
	if !d.accepting.Load() {
		return nil
	}
	return err
}
