<?php

declare(strict_types=1);

// PHP GatewayWorker: a register, one gateway process, one worker process. What a message's first character means: see ../ours.mjs.

require __DIR__ . '/../../../../test/conformance/php/fixtures/autoload.php';

use GatewayWorker\BusinessWorker;
use GatewayWorker\Gateway;
use GatewayWorker\Lib\Gateway as Api;
use GatewayWorker\Register;
use Workerman\Worker;

final class Events
{
    /** First character of an answer where the session is not what it was; the load takes it for a wrong message. */
    private const LOST = '?';

    public static function onWorkerStart(): void
    {
        $jit = function_exists('opcache_get_status') ? (opcache_get_status(false)['jit']['on'] ?? false) : false;
        $loop = basename(str_replace('\\', '/', get_class(Worker::$globalEvent)));
        file_put_contents(getenv('FOLDER') . '/facts.json', json_encode(['php' => PHP_VERSION, 'loop' => $loop, 'jit' => $jit]));
    }

    public static function onMessage(string $id, string $message): void
    {
        switch ($message[0]) {
            case 'e':
                Api::sendToCurrentClient($message);
                return;
            case 'b':
                Api::sendToAll($message);
                return;
            case 's':
                Api::sendToCurrentClient(self::sessionIsWhole() ? $message : self::LOST . substr($message, 1));
                return;
            case 'c':
                if (!self::sessionIsWhole()) {
                    Api::sendToCurrentClient(self::LOST . substr($message, 1));
                    return;
                }
                $_SESSION['count']++;
                Api::sendToCurrentClient($message);
                return;
            case '!':
                $_SESSION = ['text' => str_repeat('x', 1000), 'count' => 0];
                Api::sendToCurrentClient('!');
        }
    }

    /** A server that has lost the session does less work than it is measured for. */
    private static function sessionIsWhole(): bool
    {
        return strlen($_SESSION['text'] ?? '') === 1000;
    }
}

$folder = getenv('FOLDER');
$protocol = getenv('PROTOCOL');
$register = '127.0.0.1:' . getenv('REGISTER_PORT');
Worker::$pidFile = "$folder/master.pid";
Worker::$logFile = "$folder/workerman.log";
Worker::$statusFile = "$folder/status";

new Register("text://$register");
$context = [];
if (getenv('TLS')) {
    $context = ['ssl' => ['local_cert' => getenv('TLS') . '.cert.pem', 'local_pk' => getenv('TLS') . '.key.pem']];
}
$gateway = new Gateway("$protocol://0.0.0.0:" . getenv('CLIENT_PORT'), $context);
if (getenv('TLS')) {
    $gateway->transport = 'ssl';
}
$gateway->startPort = (int) getenv('INNER_PORT');
$gateway->registerAddress = $register;
// The messages are many times larger than the send buffer in one row; all others never fill it.
$gateway->sendToClientBufferSize = 10 * 1024 * 1024;
$worker = new BusinessWorker();
$worker->count = 1;
$worker->registerAddress = $register;
$worker->eventHandler = Events::class;
Worker::runAll();
