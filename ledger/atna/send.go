package atna

import (
	"context"
	"errors"
	"strconv"
	"time"
)

// Line is one message of syslog of facility 10, security (RFC 5424), that is no
// audit message: its severity (§6.2.1), its MSGID, its text.
func Line(severity int, at time.Time, host, msgID, text string) []byte {
	out := append(make([]byte, 0, len(text)+200), "<"+strconv.Itoa(10*8+severity)+">1 "...)
	out = at.UTC().AppendFormat(out, syslogTime)
	out = append(out, " "+token(host, 255)+" cordon - "+token(msgID, 32)+" - "...)
	return append(out, text...)
}

// Send sends messages over a session of their own, beside the trail of audit
// messages: nil means that the other machine has all of them, or of UDP that this
// one has sent them.
func (t Target) Send(ctx context.Context, messages [][]byte) error {
	c, err := t.dial(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	for _, m := range messages {
		if err := c.send(t.frame(m)); err != nil {
			return err
		}
	}
	all, err := c.flush()
	if err != nil {
		return err
	}
	err = c.finish(ctx, Timing{}.withDefaults().Finish)
	if errors.Is(err, errNotClosed) { // it keeps sessions open: what its machine has will do
		if there, counted := c.arrived(); counted == nil && there >= all {
			return nil
		}
	}
	return err
}
