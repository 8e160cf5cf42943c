package member

import "bytes"

// mark is the highest that the worker has seen of how far the store has come. Every
// request shows it whose answer has another one.
func (m *Member) mark() []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.highest
}

// saw takes a mark over if it is higher.
func (m *Member) saw(mark []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if bytes.Compare(mark, m.highest) > 0 {
		m.highest = mark
	}
}
