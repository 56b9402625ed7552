//go:build !linux

package capture

import (
	"context"

	"cordon/network"
)

// Sensor is none here.
type Sensor struct{}

// Open returns ErrUnsupported.
func Open(Config, network.Sink) (*Sensor, error) { return nil, ErrUnsupported }

// Run returns ErrUnsupported.
func (s *Sensor) Run(context.Context) error { return ErrUnsupported }

// Status is empty.
func (s *Sensor) Status() Status { return Status{} }
