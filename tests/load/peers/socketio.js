// A push server without log and fold: a room for each order.
// Owns: joining rooms, and sending what is posted to a room.
// Must not know: what is sent.
// Source: socket.io's documentation; WebSocket alone, as a browser of today has it.
import { createServer } from 'node:http';
import { Server } from 'socket.io';

const server = createServer((request, answer) => {
  const room = request.url.split('/').at(-1);
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    io.to(room).emit('update', JSON.parse(Buffer.concat(parts)));
    answer.end();
  });
});
const io = new Server(server, { transports: ['websocket'], serveClient: false });

io.on('connection', (socket) => {
  socket.on('subscribe', (room) => {
    socket.join(room);
    socket.emit('subscribed');
  });
});

server.listen(0, '127.0.0.1', 4096, () => console.log(JSON.stringify({ port: server.address().port })));
