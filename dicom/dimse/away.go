package dimse

import "errors"

// What a user of a service may want to tell apart, whoever called the provider for it.
var (
	// ErrAway is a provider that cannot be reached now, is out of resources or did not answer: the same may succeed later.
	ErrAway = errors.New("the other side is away")
	// ErrNotAccepted is a provider that accepts no presentation context for what it was asked: it will not succeed later.
	ErrNotAccepted = errors.New("the other side accepts no presentation context for it")
)
