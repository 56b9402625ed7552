package custody

import "fmt"

// State says where an object is in its life. The zero value is no state.
type State string

const (
	Receiving State = "receiving" // in a Buffer; there is no row, and nothing has been acknowledged
	Spooled   State = "spooled"   // durable here, due for delivery
	Held      State = "held"      // durable here, in the vault
	Delivered State = "delivered" // the archive has answered success; our copy is gone
	Destroyed State = "destroyed" // by two people; our copy is gone

	// Released is what the vault shows of an object that was held and is now
	// spooled or delivered. No row is in this state.
	Released State = "released"
)

// An actor is who may cause a transition.
type actor string

const (
	gateway   actor = "gateway"
	deliverer actor = "deliverer"
	people    actor = "people" // two of them; one in an emergency, for a release only
)

type transition struct {
	from, to State
	who      actor
}

// transitions is every change of state there is.
var transitions = [...]transition{
	{Receiving, Spooled, gateway},   // judged, the archive is away
	{Receiving, Held, gateway},      // judged, policy holds it
	{Held, Spooled, people},         // released
	{Held, Destroyed, people},       //
	{Spooled, Delivered, deliverer}, //
	{Spooled, Destroyed, people},    // no archive will ever take it
}

// change finds the transition, or says that there is none.
func change(from, to State, who actor) (transition, error) {
	for _, t := range transitions {
		if t == (transition{from, to, who}) {
			return t, nil
		}
	}
	return transition{}, fmt.Errorf("%w: %s to %s by the %s", ErrState, from, to, who)
}

// stored reports whether an object in this state has a blob.
func (s State) stored() bool { return s == Spooled || s == Held }
