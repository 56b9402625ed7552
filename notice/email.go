package notice

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail"

	"cordon/alarm"
)

// Email sends messages by SMTP (RFC 5321), always over TLS.
type Email struct {
	Server   string                 // host:port
	Implicit bool                   // TLS from the first byte (RFC 8314); else STARTTLS, without which nothing is sent
	TLS      func() *tls.Config     // asked for each message; nil: the machine's authorities
	User     string                 // "": no authentication
	Password func() (string, error) // asked for each message
	From     string
	To       []string
}

// Name is "email".
func (Email) Name() string { return "email" }

const emailTime = 30 * time.Second

// Send sends one mail to all of To. A server that takes it for some of them takes
// it for none.
func (e Email) Send(ctx context.Context, m Message) error {
	msg := mail.NewMsg()
	if err := msg.From(e.From); err != nil {
		return err
	}
	if err := msg.To(e.To...); err != nil {
		return err
	}
	msg.Subject(m.Subject())
	msg.SetMessageIDWithValue(m.ID + "@cordon")
	msg.SetDate()
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no answers of holiday programs
	msg.SetBodyString(mail.TypeTextPlain, m.Text())
	ctx, cancel := context.WithTimeout(ctx, emailTime)
	defer cancel()
	client, err := e.client(ctx)
	if err != nil {
		return err
	}
	return client.DialAndSendWithContext(ctx, msg)
}

// client is one for a mail. What it waits for ends when ctx does.
func (e Email) client(ctx context.Context) (*mail.Client, error) {
	host, text, err := net.SplitHostPort(e.Server)
	if err != nil {
		return nil, err
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return nil, fmt.Errorf("port %q: %w", text, err)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if e.TLS != nil {
		config = e.TLS().Clone()
	}
	config.ServerName = host
	options := []mail.Option{mail.WithPort(port), mail.WithTimeout(left(ctx)), mail.WithTLSConfig(config), mail.WithoutNoop()}
	if e.Implicit {
		options = append(options, mail.WithSSL())
	} else {
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	}
	if e.User != "" {
		password, err := e.Password()
		if err != nil {
			return nil, err
		}
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(e.User), mail.WithPassword(password))
	}
	return mail.NewClient(host, options...)
}

// left is how long a mail may take from now on.
func left(ctx context.Context) time.Duration {
	if end, ok := ctx.Deadline(); ok {
		return max(time.Until(end), time.Millisecond)
	}
	return emailTime
}

// Subject is a message on one line.
func (m Message) Subject() string {
	head := "[Cordon, " + m.Site + "] "
	if m.More == 0 && len(m.Events) == 1 {
		return head + m.Events[0].line()
	}
	return head + m.sum()
}

// sum counts what a message tells.
func (m Message) sum() string {
	total := len(m.Events) + m.More
	var parts []string
	for s := alarm.Critical; s >= alarm.Info; s-- {
		if n := m.Counts[s.String()]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, s))
			total -= n
		}
	}
	if total > 0 {
		parts = append(parts, fmt.Sprintf("%d ended", total))
	}
	return "Alarms: " + strings.Join(parts, ", ")
}

// line is an event on one line.
func (e Event) line() string {
	var out strings.Builder
	switch e.What {
	case alarm.Over:
		out.WriteString("Ended: ")
	case alarm.Back:
		out.WriteString("Snoozed until now: ")
	case alarm.Worse:
		out.WriteString("Worse: ")
	case Unacknowledged:
		out.WriteString("Nobody has acknowledged: ")
	}
	if e.Alarm != 0 && e.What != alarm.Over {
		out.WriteString(strings.ToUpper(e.Severity.String()) + ": ")
	}
	out.WriteString(e.Means)
	if e.Subject != "" {
		out.WriteString(" (" + e.Subject + ")")
	}
	return out.String()
}

// Text is a message for a person.
func (m Message) Text() string {
	var out bytes.Buffer
	if len(m.Events)+m.More > 1 {
		fmt.Fprintf(&out, "%s.\n\n", m.sum())
	}
	for _, e := range m.Events {
		fmt.Fprintf(&out, "%s\n", e.line())
		if e.Alarm != 0 {
			fmt.Fprintf(&out, "    Alarm %d, %s; met %s, first %s, last %s.\n", e.Alarm, e.Kind, times(e.Count), e.First.Format(time.DateTime+" MST"), e.Last.Format(time.DateTime+" MST"))
		}
		if e.Do != "" && e.What != alarm.Over {
			fmt.Fprintf(&out, "    What to do: %s\n", e.Do)
		}
		out.WriteString("\n")
	}
	if m.More > 0 {
		fmt.Fprintf(&out, "And %d more, which are not listed here.\n\n", m.More)
	}
	if m.URL != "" {
		fmt.Fprintf(&out, "%s\n", m.URL)
	}
	fmt.Fprintf(&out, "What it is about in full is on the Alarms page and in cordon alarm list: no patient data is sent.\n")
	return out.String()
}

func times(n int64) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}
