// Requests of one kind, to compare two servers or two settings with each other.
//
//   KIND=same     the same 3 texts again and again
//   KIND=unseen   4 texts of 20 words that nobody asked before
//   URL, VUS (10), DURATION (10s)
import http from 'k6/http';
import { check } from 'k6';

const url = `${__ENV.URL || 'http://localhost:8080'}/v1/models/sentiment:predict`;
const same = JSON.stringify({ text: ['I love this phone.', 'The delivery was late.', 'It does what it says.'] });
const words = (
  'the a this film story actor scene music plot end day night man woman child city house water light hand life time '
  + 'good bad long short slow fast new old warm cold funny sad dark bright quiet loud strange simple deep thin '
  + 'is was has had makes took gives feels looks seems turns runs falls and but or with without about after before'
).split(' ');

export const options = {
  vus: Number(__ENV.VUS || 10),
  duration: __ENV.DURATION || '10s',
  thresholds: { checks: ['rate==1'] },
  summaryTrendStats: ['avg', 'min', 'med', 'p(95)', 'p(99)', 'max'],
};

function unseen() {
  const chosen = [];
  for (let i = 0; i < 20; i += 1) chosen.push(words[Math.floor(Math.random() * words.length)]);
  return chosen.join(' ');
}

export default function () {
  const body = __ENV.KIND === 'unseen' ? JSON.stringify({ text: [unseen(), unseen(), unseen(), unseen()] }) : same;
  check(http.post(url, body), { 'is 200': (r) => r.status === 200 });
}
