package schedule

import "time"

// span is a time in which a zone has one offset from UTC. Its times, and those of the wall,
// are whole seconds since 1970; the wall shows a time plus the offset.
type span struct {
	// start is its first second and end that after its last. An end of 0 is none.
	start, end int64
	// offset is that of the span, before that of the one before it.
	offset, before int64
}

// spanAt is the span of a zone in which a time lies.
func spanAt(location *time.Location, second int64) span {
	if location == time.UTC {
		return span{}
	}
	t := time.Unix(second, 0).In(location)
	_, offset := t.Zone()
	s := span{offset: int64(offset), before: int64(offset)}
	start, end := t.ZoneBounds()
	if !start.IsZero() {
		_, offset := start.Add(-time.Second).Zone()
		s.start, s.before = start.Unix(), int64(offset)
	}
	if !end.IsZero() {
		s.end = end.Unix()
	}
	if s.end != 0 && s.end <= second {
		// Go ends the last span of a leap year to come with the 365th day. No clock is
		// changed on the next one.
		s.end = second + secondsADay/2
	}
	return s
}

// beyond reports whether a time lies after the span.
func (s span) beyond(second int64) bool { return s.end != 0 && second >= s.end }

// onWall is when the wall in a zone shows a time: the first time, if it does so twice, and
// later by what is skipped, if it never does.
func onWall(location *time.Location, wall int64) int64 {
	// No zone is farther from UTC than 26 hours, so the search begins early enough.
	const far = 26 * 60 * 60
	s := spanAt(location, wall-far)
	for s.beyond(wall - s.offset) {
		next := spanAt(location, s.end)
		if wall-next.offset < next.start {
			break
		}
		s = next
	}
	return wall - s.offset
}
