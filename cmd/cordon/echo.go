package main

import (
	"context"
	"fmt"
	"time"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
)

type echoCommand struct{ peer }

// Run is 0 if the peer answered success, 1 if something else, 2 without an
// association.
func (c echoCommand) Run(ctx context.Context, std stdio) error {
	start := time.Now()
	conn, err := c.dial(ctx, []ul.ProposedContext{{
		AbstractSyntax:   dicom.Verification,
		TransferSyntaxes: []dicom.UID{dicom.ImplicitVRLittleEndian, dicom.ExplicitVRLittleEndian},
	}})
	if err != nil {
		return err
	}
	defer conn.Close()
	status, err := conn.Echo(ctx)
	if err != nil {
		return fmt.Errorf("C-ECHO to %s: %w", c.Address, err)
	}
	fmt.Fprintf(std.out, "%s at %s answered %04XH in %s\n", c.Called, c.Address, uint16(status), time.Since(start).Round(100*time.Microsecond))
	if status.Class() != dimse.ClassSuccess {
		return failure{1, nil}
	}
	return conn.Release(ctx)
}
