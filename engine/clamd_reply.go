package engine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"cordon/finding"
)

const longestReply = 4096 // bytes; clamd's are a signature's name and a word

// readReply reads one answer, which ends with NUL and with which the connection has nothing more to say.
func readReply(r io.Reader) (string, error) {
	p := make([]byte, longestReply+1) // one more, to see that there is none
	for n := 0; n < len(p); {
		m, err := r.Read(p[n:])
		n += m
		if end := bytes.IndexByte(p[:n], 0); end >= 0 && end < longestReply {
			if end+1 < n {
				return "", errors.New("bytes after the answer")
			}
			return string(p[:end]), nil
		}
		if errors.Is(err, io.EOF) {
			return "", errors.New("clamd closed the connection before it answered")
		} else if err != nil {
			return "", err
		}
	}
	return "", fmt.Errorf("more than %d bytes", longestReply)
}

// parseStreamReply reads clamd's answer to INSTREAM. Nothing but "stream: OK" is clean.
func parseStreamReply(text string) (finding.Result, string) {
	if text == "stream: OK" {
		return finding.Clean, ""
	}
	if name, ok := strings.CutPrefix(text, "stream: "); ok {
		if name, ok = strings.CutSuffix(name, " FOUND"); ok {
			return named(name)
		}
	}
	switch {
	case text == "INSTREAM size limit exceeded. ERROR":
		return finding.Unscanned, "larger than clamd's StreamMaxLength"
	case strings.HasSuffix(text, " ERROR"):
		return finding.Unscanned, "clamd reported an error; its log says which"
	}
	return finding.Unscanned, "clamd gave an answer that its protocol does not have"
}

// clamdVersion is what clamd says of itself.
type clamdVersion struct {
	line string    // "ClamAV 1.4.6/27500/Mon Jan  5 09:10:11 2026"
	at   time.Time // of ClamAV's daily signatures; zero if it has none
}

// parseVersion reads the answer to VERSION: program, number of the daily signatures and their date, separated by
// slashes. With signatures of others only, clamd names just the program. clamd writes the date in its own time zone
// without naming it; it is read as UTC, so the age errs by at most 14 hours.
func parseVersion(text string) (clamdVersion, error) {
	fields := strings.Split(text, "/")
	if !strings.HasPrefix(text, "ClamAV ") || printable(text) != text || len(fields) != 1 && len(fields) != 3 {
		return clamdVersion{}, errors.New("clamd did not answer VERSION as clamd does")
	}
	v := clamdVersion{line: text}
	if len(fields) == 3 {
		at, err := time.Parse(time.ANSIC, fields[2])
		if err != nil {
			return clamdVersion{}, errors.New("clamd's VERSION has no date of the form Mon Jan _2 15:04:05 2006")
		}
		v.at = at
	}
	return v, nil
}
