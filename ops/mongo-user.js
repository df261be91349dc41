// Runs once, when the database is created: the user of the backends, who may use this database and nothing else.
const password = require('fs').readFileSync('/run/mongo/mongo_app_password', 'utf8').trim();
db.getSiblingDB('ghostmonk').createUser({
  user: 'field_notes',
  pwd: password,
  roles: [{ role: 'readWrite', db: 'ghostmonk' }],
});
