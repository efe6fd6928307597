// What the users of the older services' own script ask for: 95 % of their requests send the same 3 texts, 5 % send the
// same 10 texts in random order.
const same = ['I love this phone.', 'The delivery was late.', 'It does what it says.'];
const ten = [
  'The food was cold.', 'What a lovely evening!', 'I would not buy it again.', 'Best value for the price.',
  'The battery died after a week.', 'Friendly staff and quick service.', 'The plot made no sense.',
  'A warm and funny film.', 'It broke on the first day.', 'Exactly as described.',
];

function shuffled(texts) {
  const order = texts.slice();
  for (let i = order.length - 1; i > 0; i -= 1) {
    const j = Math.floor(Math.random() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

export function repeats() {
  return Math.random() < 0.95 ? same : shuffled(ten);
}
