package people

import (
	_ "embed"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"cordon/custody"
)

// MinPassword is the fewest characters of a password. There is no rule of what it is
// to be made of, and it never expires (NIST SP 800-63B §3.1.1.2).
const MinPassword = 12

// common are words that people make passwords of when nobody looks: what is guessed
// first, in the languages of the hospitals that were thought of.
//
//go:embed common.txt
var common string

// CheckPassword says what is wrong with a new password, or nil.
func CheckPassword(name, password string) error {
	folded, owner := custody.FoldName(password), custody.FoldName(name)
	switch {
	case !utf8.ValidString(password) || strings.ContainsFunc(password, unicode.IsControl):
		return fmt.Errorf("%w: the password has characters in it that cannot be typed", ErrRequest)
	case utf8.RuneCountInString(password) < MinPassword:
		return fmt.Errorf("%w: a password has at least %d characters: four or five words that do not belong together are easy to keep", ErrRequest, MinPassword)
	case len(password) > maxPassword:
		return fmt.Errorf("%w: a password has at most %d bytes", ErrRequest, maxPassword)
	case len(owner) > 3 && letters(strings.ReplaceAll(folded, owner, "")) < 4:
		return fmt.Errorf("%w: the password is the name with a little more: it is guessed first", ErrRequest)
	case isCommon(folded):
		return fmt.Errorf("%w: this password is made of what is guessed first: common words, rows of keys, numbers", ErrRequest)
	}
	return nil
}

// isCommon reports whether a password is a row of keys, or one or two common words
// with no more beside them than digits and a few letters.
func isCommon(folded string) bool {
	if plain(folded) {
		return true
	}
	if letters(folded) == 0 {
		return utf8.RuneCountInString(folded) < 2*MinPassword
	}
	for _, text := range []string{folded, unleet.Replace(folded)} {
		if rest, taken := withoutWords(text); taken > 0 && taken <= 2 && letters(rest) < 4 {
			return true
		}
	}
	return false
}

// withoutWords takes the common words out of a text, the longest first, wherever
// they are, and says how many different ones it took.
func withoutWords(text string) (rest string, taken int) {
	words := strings.Fields(common)
	for {
		longest := ""
		for _, w := range words {
			if len(w) > max(3, len(longest)) && strings.Contains(text, w) {
				longest = w
			}
		}
		if longest == "" {
			return text, taken
		}
		text = strings.ReplaceAll(text, longest, " ")
		taken++
	}
}

// unleet undoes what people write for letters.
var unleet = strings.NewReplacer("0", "o", "1", "i", "3", "e", "4", "a", "5", "s", "7", "t")

func letters(s string) (n int) {
	for _, r := range s {
		if unicode.IsLetter(r) {
			n++
		}
	}
	return n
}

// rows are what fingers and tongues follow.
var rows = [...]string{"abcdefghijklmnopqrstuvwxyz", "1234567890", "9876543210", "qwertyuiopasdfghjklzxcvbnm", "qwertzuiopasdfghjklyxcvbnm", "azertyuiopqsdfghjklmwxcvbn"}

// plain reports whether a text has few different characters, or follows a row.
func plain(s string) bool {
	seen := map[rune]bool{}
	for _, r := range s {
		seen[r] = true
	}
	if len(seen) < 5 {
		return true
	}
	for _, row := range rows {
		if strings.Contains(strings.Repeat(row, 1+len(s)/len(row)+1), s) {
			return true
		}
	}
	return false
}
