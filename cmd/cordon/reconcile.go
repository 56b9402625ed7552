package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"cordon/commitment"
	"cordon/console"
	dicomcommit "cordon/dicom/commit" // commit is the version's
	"cordon/dicom/dimse"
	"cordon/policy"
	"cordon/reconcile"
)

// newReconciler accounts for what was acknowledged, with the archives of the
// configuration.
func (d *daemon) newReconciler() *reconcile.Reconciler {
	c := reconcile.Config{Calling: d.config.Gateway.AETitle}
	for _, a := range d.config.Archives {
		c.Archives = append(c.Archives, reconcile.Archive{
			Name: a.Name, Query: a.does(policy.ServiceQuery), Commit: a.does(policy.ServiceCommit),
		})
	}
	return reconcile.New(c, reconcile.Parts{
		DB: d.parts.db, Ledger: d.parts.ledger, Custody: d.parts.custody,
		Find: d.gateway, Confirm: confirmer{d}, Wake: func(string) { d.gateway.Wake() }, Log: d.log,
	})
}

// does reports whether an archive offers a service.
func (a ArchiveConfig) does(s policy.Service) bool {
	return len(a.Services) == 0 || slices.Contains(a.Services, s)
}

// confirmer asks for commitment over the gateway.
type confirmer struct{ d *daemon }

// Confirm implements reconcile.Confirmer.
func (c confirmer) Confirm(ctx context.Context, archive string, refs []dicomcommit.Reference) ([]dicomcommit.Failure, error) {
	failed, err := c.d.parts.commit.Confirm(ctx, c.d.gateway.CommitmentNetwork(), archive, refs)
	if errors.Is(err, commitment.ErrUnsupported) {
		err = fmt.Errorf("%w: %w", dimse.ErrNotAccepted, err)
	}
	return failed, err
}

// reconcile has the Cordon that runs account for everything: 0 if all is where
// it should be, 1 if not, 2 if none runs.
func (c statusCommand) reconcile(ctx context.Context, at place, std stdio) error {
	control, err := at.running(ctx)
	switch {
	case err != nil:
		return failure{2, err}
	case control == nil:
		return failure{2, fmt.Errorf("%w: start it with cordon up; it asks the archives", errNotRunning)}
	}
	defer control.close()
	if c.GiveUp {
		return c.giveUp(ctx, control, std)
	}
	var report console.Reconciled
	if err := control.ask(ctx, http.MethodPost, "reconcile", nil, &report); err != nil {
		return failure{2, err}
	}
	if c.JSON {
		json.NewEncoder(std.out).Encode(report)
	} else {
		for _, sentence := range report.Says {
			fmt.Fprintln(std.out, sentence)
		}
	}
	if !report.Well {
		return failure{1, nil}
	}
	return nil
}

// giveUp ends the alarms about what is missing.
func (c statusCommand) giveUp(ctx context.Context, control *control, std stdio) error {
	var n console.GivenUp
	if err := control.ask(ctx, http.MethodPost, "reconcile/give-up", console.VaultRequest{By: c.As, Reason: c.Reason}, &n); err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(std.out).Encode(n)
	}
	fmt.Fprintf(std.out, "%s no longer counted as missing\n", count(n.Instances, "instance"))
	return nil
}
